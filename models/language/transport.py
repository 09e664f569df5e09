"""What a language model is to this package: a question in, a reply out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Heard = Callable[[str], None]
"""Called with each new piece of an answer while it is being written, and now and then with nothing.

What it raises ends the call: nobody waits for the rest.
"""


@dataclass(frozen=True)
class Question:
    """One prompt. `schema` is the JSON Schema of the answer, for providers that hold a model to it."""

    system: str
    user: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    """Whose budget pays: the incident's id. Without one, questions of the same text share a budget."""


@dataclass(frozen=True)
class Reply:
    """A model's answer, and what it took."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    """US dollars; None where the price is not known."""
    cached: bool = False
    """It was answered before: nothing was sent, and nothing is paid."""
    redacted: int = 0
    """Distinct values that were replaced before the prompt left."""


class Transport(Protocol):
    """The call to a language model. `service.ports.LanguageModel` is the same by structure."""

    name: str

    def ask(self, question: Question, heard: Heard | None = None) -> Reply:
        """The model's answer, asked to be JSON of the schema. Raises Unavailable when it fails or is slow."""
