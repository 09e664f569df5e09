"""Every extension point, one Protocol each. Built-in adapters and third-party ones load the same way: an entry
point in the group named beside the Protocol, a callable `(config, context) -> adapter` (for executors a class).

`config` is the adapter's own section of the settings, unvalidated: the adapter validates it and raises BadInput.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

# The two whose callers may not import `service`: their Protocols stand beside those callers.
from models.detection.batch import Detector as Detector  # noqa: PLC0414  (group: suture.detectors)
from models.domain.base import Clock, Labels, Severity
from models.domain.errors import SutureError
from models.domain.signal import Sample
from models.language.transport import Heard, Question, Reply
from retrieval.embedding import Embedder as Embedder  # noqa: PLC0414  (group: suture.embedders)

if TYPE_CHECKING:
    from pydantic import BaseModel
    from sqlalchemy import Engine


class SampleReader(Protocol):
    """Reads the embedded store of recent samples."""

    def select(
        self, matches: Callable[[Labels], bool], start: datetime, end: datetime, metric: str | None = None
    ) -> Iterable[tuple[Labels, Sequence[tuple[float, float]]]]:
        """Series whose labels match, each with (unix seconds, value) pairs in time order, both ends included.

        `metric`, where the name is known, narrows the search before `matches` is asked.
        """


@dataclass(frozen=True)
class Context:
    """What an adapter may need from the installation that loads it."""

    clock: Clock
    secret: Callable[[str], str]
    """Resolves a reference (`env:NAME`, `file:PATH`) to its value; raises BadInput where it cannot."""
    database: Engine | None = None
    samples: SampleReader | None = None


class Source(Protocol):
    """A monitoring system that answers queries. Group: `suture.sources`."""

    name: str

    def query(self, expression: str, at: datetime) -> list[Sample]:
        """The instant vector of a PromQL expression. Raises BadInput (cannot be asked) or Unavailable (no answer)."""

    def healthy(self) -> bool:
        """Whether it answers now."""


@dataclass(frozen=True)
class Verb:
    """One thing an executor can do. What it declares decides how a crash in mid-act is treated."""

    name: str
    summary: str
    inputs: type[BaseModel]
    outputs: type[BaseModel]
    idempotent: bool
    """Doing it twice is the same as doing it once: run again after a crash."""
    observable: bool
    """The target can be asked whether it happened: ask after a crash."""
    lingers: bool = True
    """What was sent may still take effect after an error, up to the call's timeout. False where `observe` itself waits
    for what is under way."""


@dataclass(frozen=True)
class Call:
    """One use of a verb. `arguments` were validated against the verb's inputs."""

    key: str
    """Idempotency key: the same for every attempt at one step of one execution."""
    verb: str
    arguments: Mapping[str, Any]
    timeout: timedelta
    before: Mapping[str, Any] = field(default_factory=dict)
    """What `snapshot` said before the first attempt."""
    cancelled: Callable[[], bool] = lambda: False
    """Whether a person asked to stop meanwhile. A long act that can be broken off without harm looks at it, and raises
    ExecutorError with what it knows of the effect; others are let end."""
    confirm: Callable[[], None] = lambda: None
    """An act calls it last, right before what cannot be taken back: it returns where this worker may still act. It
    raises ExecutorError (absent) where that is not known, and ends the step where another replica continues it."""


class Effect(StrEnum):
    """Whether an attempt that left no record took effect."""

    HAPPENED = "happened"
    ABSENT = "absent"
    REPEATABLE = "repeatable"
    """It cannot be told, and doing it again is the same as doing it once."""
    UNKNOWN = "unknown"


class ExecutorError(SutureError):
    """An act that failed. `effect` says whether the target may have changed all the same."""

    status = 502
    title = "execution failed"

    def __init__(
        self, message: str, *, retriable: bool = False, effect: Effect = Effect.UNKNOWN, final: bool = False
    ) -> None:
        """`retriable`: the same call may work later. `final`, of one that took effect: the target has given up, so that
        health is measured once instead of waited for.
        """
        super().__init__(message)
        self.retriable = retriable
        self.effect = effect
        self.final = final


class ExecutorClass(Protocol):
    """What an entry point of `suture.executors` names: a class that tells its verbs before it is configured."""

    name: str
    verbs: Mapping[str, Verb]

    def build(self, config: Mapping[str, Any], context: Context) -> Executor:
        """The configured executor; a classmethod. Raises BadInput."""

    def target(self, verb: str, arguments: Mapping[str, Any]) -> str:
        """As of Executor; a staticmethod, since what is acted on follows from the arguments alone."""


class Executor(Protocol):
    """Something that can act. Group: `suture.executors`; the entry point's name is the part of `uses` before `/`."""

    name: str
    verbs: Mapping[str, Verb]

    def target(self, verb: str, arguments: Mapping[str, Any]) -> str:
        """What is acted on, as one word for limits and audit, for example `process:shop-api`."""

    def dry_run(self, call: Call) -> str:
        """What `act` would do, in words, having changed nothing. Raises ExecutorError where it could not be done."""

    def snapshot(self, call: Call) -> dict[str, Any]:
        """The target's state before the act, as JSON: what `observe` compares with."""

    def act(self, call: Call) -> dict[str, Any]:
        """Do it and return the verb's outputs. Raises ExecutorError."""

    def observe(self, call: Call) -> Effect:
        """Whether the act of this call happened, asked of the target itself."""


@dataclass(frozen=True)
class TicketDraft:
    """A ticket to open. `body` is Markdown."""

    incident: str
    title: str
    body: str
    severity: Severity
    labels: Labels = field(default_factory=dict)


class TicketingError(SutureError):
    """The ticket system refused or did not answer."""

    status = 502
    title = "ticket system failed"

    def __init__(self, message: str, *, retriable: bool) -> None:
        """`retriable`: the same update may work later; else it is given up and shown."""
        super().__init__(message)
        self.retriable = retriable


class Ticketing(Protocol):
    """A ticket system. Group: `suture.itsm`. `key` makes a repeated call harmless. All raise TicketingError."""

    name: str

    def open(self, draft: TicketDraft, key: str) -> str:
        """Open a ticket and return its reference."""

    def comment(self, reference: str, text: str, key: str) -> None:
        """Add a comment, in Markdown."""

    def close(self, reference: str, resolution: str, key: str) -> None:
        """Close it with the outcome in words."""


class LanguageModel(Protocol):
    """The transport to a language model. `models.language` decides what is asked and believed."""

    name: str

    def ask(self, question: Question, heard: Heard | None = None) -> Reply:
        """The model's answer, asked to be JSON of the schema. Raises Unavailable when it fails or is slow."""
