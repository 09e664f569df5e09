"""Speaks to the crash suite's target as a third-party package would: an executor, and a source for the checks."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from models.domain.errors import Unavailable
from models.domain.signal import Sample
from service.ports import Call, Context, Effect, ExecutorError, Verb

_SECONDS = 20.0


class Named(BaseModel):
    name: str


class Nothing(BaseModel):
    pass


def _verb(name: str, *, idempotent: bool, observable: bool) -> Verb:
    return Verb(name, f"The target's {name}", Named, Nothing, idempotent=idempotent, observable=observable)


class TargetExecutor:
    """One verb for each way in which an executor may declare itself, and each way in which an act goes wrong."""

    name = "target"
    verbs: ClassVar = {
        verb.name: verb
        for verb in (
            _verb("idempotent", idempotent=True, observable=False),
            _verb("observable", idempotent=False, observable=True),
            _verb("both", idempotent=True, observable=True),
            _verb("neither", idempotent=False, observable=False),
            _verb("slow", idempotent=False, observable=True),  # its effect comes after the request, whoever died
            _verb("refuse", idempotent=False, observable=True),  # without effect
            _verb("doubt", idempotent=False, observable=False),  # with effect, and no answer
            _verb("breaks", idempotent=False, observable=True),  # with effect, and no answer; can be asked
            _verb("useless", idempotent=False, observable=True),  # does not heal
            _verb("undo", idempotent=False, observable=True),
        )
    }

    sent: ClassVar[Callable[[Call], None]] = staticmethod(lambda call: None)
    """Called when the request is out and its effect may come: an instant of its own to be killed at."""

    def __init__(self, address: Path) -> None:
        self._address = address

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> TargetExecutor:
        return cls(Path(config["socket"]))

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        return f"target:{arguments['name']}"

    def dry_run(self, call: Call) -> str:
        return f"would {call.verb} {call.arguments['name']}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        return {"healthy": _ask(self._address, {"ask": "health", "name": call.arguments["name"]})["healthy"]}

    def act(self, call: Call) -> dict[str, Any]:
        question = {"ask": "act", "key": call.key, "verb": call.verb, "name": call.arguments["name"]}
        answer = _ask(self._address, question, lambda: self.sent(call))
        if "refused" in answer:
            raise ExecutorError("the target refused", effect=Effect.ABSENT)
        return {}

    def observe(self, call: Call) -> Effect:
        happened = _ask(self._address, {"ask": "happened", "key": call.key})["happened"]
        return Effect.HAPPENED if happened else Effect.ABSENT


class TargetSource:
    """Answers `healthy{service="NAME"}`."""

    name = "target"

    def __init__(self, address: Path) -> None:
        self._address = address

    def query(self, expression: str, at: datetime) -> list[Sample]:
        service = re.search(r'service="([^"]+)"', expression)
        if not expression.startswith("healthy") or service is None:
            return []
        try:
            healthy = _ask(self._address, {"ask": "health", "name": service[1]})["healthy"]
        except ExecutorError as error:
            raise Unavailable(str(error)) from error
        return [Sample(labels={"service": service[1]}, at=at, value=float(healthy))]

    def healthy(self) -> bool:
        return True


def build_source(config: Mapping[str, Any], context: Context) -> TargetSource:
    return TargetSource(Path(config["socket"]))


def _ask(address: Path, question: Mapping[str, Any], sent: Callable[[], None] = lambda: None) -> Any:
    """One question to the target. Raises ExecutorError with what is known of the effect where no answer came."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        try:
            connection.connect(str(address))
        except OSError as error:
            raise ExecutorError(f"the target cannot be reached: {error}", effect=Effect.ABSENT) from error
        try:
            connection.sendall(json.dumps(question).encode() + b"\n")
            sent()
            line = connection.makefile("rb").readline()
        except OSError as error:
            raise ExecutorError(f"the connection broke: {error}") from error
    if not line:
        raise ExecutorError("the connection broke before the answer")
    return json.loads(line)
