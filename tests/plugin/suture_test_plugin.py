"""A third-party package, installed for the tests as a user would install one: an embedder and an executor.

The embedder is quick. The executor writes each act to a file (a ledger), so that tests count effects by what the
target itself recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from service.ports import Call, Context, Effect, ExecutorError, Verb


class HashingEmbedder:
    """Bags of words, hashed."""

    identity = "test-hashing"
    dimension = 64

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, int.from_bytes(hashlib.md5(word.encode()).digest()[:4]) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def build_embedder(config: Mapping[str, Any], context: Context) -> HashingEmbedder:
    return HashingEmbedder()


class Entry(BaseModel):
    name: str


class Nothing(BaseModel):
    pass


class Ledger:
    """`write` appends the call's key and name to the file, `refuse` fails without effect, `doubt` after writing."""

    name = "ledger"
    verbs: ClassVar = {
        verb.name: verb
        for verb in (
            Verb("write", "Write a line", Entry, Nothing, idempotent=False, observable=True),
            Verb("refuse", "Fail without effect", Entry, Nothing, idempotent=False, observable=True),
            Verb("doubt", "Fail, and cannot tell", Entry, Nothing, idempotent=False, observable=False),
        )
    }

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> Ledger:
        return cls(Path(config["file"]))

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        return f"ledger:{arguments['name']}"

    def dry_run(self, call: Call) -> str:
        return f"would write {call.arguments['name']}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        return {"lines": len(self._lines())}

    def act(self, call: Call) -> dict[str, Any]:
        if call.verb == "refuse":
            raise ExecutorError("the ledger is closed", effect=Effect.ABSENT)
        with self._file.open("a") as file:
            file.write(f"{call.key} {call.arguments['name']}\n")
        if call.verb == "doubt":
            raise ExecutorError("the connection broke", effect=Effect.UNKNOWN)
        return {}

    def observe(self, call: Call) -> Effect:
        return Effect.HAPPENED if any(line.startswith(f"{call.key} ") for line in self._lines()) else Effect.ABSENT

    def _lines(self) -> list[str]:
        return self._file.read_text().splitlines() if self._file.exists() else []
