"""The typed facts of a report on one incident. Every one stands in the record; what is not known is None."""

from __future__ import annotations

from typing import Literal

from models.domain.base import Frozen, Severity, Time
from models.domain.execution import ExecutionState, Health, Mode, Verdict
from models.domain.incident import IncidentStatus
from models.domain.recommendation import Citation, SimilarIncident
from models.domain.runbook import Risk
from models.domain.signal import Score

EventKind = Literal["seen", "status", "recommended", "decided", "done", "measured", "noted"]


class Event(Frozen):
    """One line of the timeline."""

    at: Time
    kind: EventKind
    text: str
    by: str
    """`suture`, the name of a person's key or local user, or, of what was seen, the source that told it."""


class Reached(Frozen):
    """A milestone: when, how long after the episode began, and through whom."""

    at: Time
    seconds: float
    by: str


class Times(Frozen):
    """When things happened in one episode. All seconds count from `started_at`; None: not reached."""

    started_at: Time
    """The own time of the first signal of the episode."""
    detect: Reached
    """The incident was opened, or opened again."""
    acknowledge: Reached | None = None
    """Suture began to look into it, or a person spoke, whichever came first: `by` says who."""
    mitigate: Reached | None = None
    """The act whose effect was later verified was done. None where no act was verified to help."""
    resolve: Reached | None = None
    """It was resolved: by `suture` after verification or since the signals went quiet, or by a person's word."""


class Reading(Frozen):
    """What one check said at one time."""

    at: Time
    values: tuple[float, ...] = ()
    passed: bool | None = None
    detail: str = ""


class Measured(Frozen):
    """One check of a verification: its answer before the act and after it."""

    subject: str
    condition: str
    before: Reading | None = None
    after: Reading


class Word(Frozen):
    """A person's yes or no to an execution, and how long it was waited for."""

    by: str
    role: str
    approved: bool
    at: Time
    waited_seconds: float
    comment: str = ""


EndedAt = Literal["decision", "start", "act", "verification"]


class Attempt(Frozen):
    """One candidate that was tried, and why it ended as it did."""

    execution: str
    runbook: str
    action: str
    title: str
    uses: str
    target: str
    risk: Risk
    probability: Score
    place: int | None = None
    """Its place in the ranking, from 1; None where it was not recommended."""
    verdict: Verdict
    mode: Mode
    reason: str
    """Of the guard."""
    policies: tuple[str, ...] = ()
    requested_by: str | None = None
    words: tuple[Word, ...] = ()
    state: ExecutionState
    ended_at_stage: EndedAt | None = None
    """How far it came where it did not help; None where it did, or goes on."""
    why: str
    """What ended it, as it was recorded."""
    created_at: Time
    acted_at: Time | None = None
    """When the act was done."""
    closed_at: Time | None = None
    health: Health | None = None
    verified_in_seconds: float | None = None
    measured: tuple[Measured, ...] = ()
    has_rollback: bool


class Refusal(Frozen):
    """A candidate that the guard forbade: no execution came of it."""

    at: Time
    text: str
    policies: tuple[str, ...] = ()


class Offer(Frozen):
    """One recommended candidate."""

    runbook: str
    action: str
    title: str
    probability: Score
    citations: tuple[Citation, ...] = ()


class Recommended(Frozen):
    """What Suture recommended, or why nothing."""

    id: str
    at: Time
    abstained: str | None = None
    offers: tuple[Offer, ...] = ()
    gaps: tuple[str, ...] = ()
    similar: tuple[SimilarIncident, ...] = ()
    model: str | None = None
    """The language model that took part."""


class Episode(Frozen):
    """From the opening of an incident, or its reopening, to its end."""

    number: int
    times: Times
    ended_as: IncidentStatus | None = None
    """None where Suture still works on it."""
    ended_at: Time | None = None
    ended_by: str | None = None
    ending: str = ""
    """The reason that was given."""
    handed_over: str | None = None
    """Why a person had to act; None where that was not so."""
    recommended: tuple[Recommended, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    learnings: tuple[str, ...] = ()
    """Sentences that follow from the facts above."""
    timeline: tuple[Event, ...] = ()

    @property
    def helped(self) -> Attempt | None:
        """The attempt that was verified to help."""
        return next((one for one in self.attempts if one.state is ExecutionState.SUCCEEDED), None)

    @property
    def people(self) -> tuple[str, ...]:
        """Who took part, in order of appearance, Suture and the sources of signals left out."""
        spoke = [event.by for event in self.timeline if event.kind != "seen" and event.by != SUTURE]
        return tuple(dict.fromkeys(spoke))


class IncidentReport(Frozen):
    """Everything that is known of one incident."""

    incident: str
    title: str
    severity: Severity
    status: IncidentStatus
    environment: str
    services: tuple[str, ...]
    impact: str
    cause: str
    """The most probable origin in words; empty where none is known."""
    episodes: tuple[Episode, ...]
    citations: tuple[Citation, ...] = ()
    """What the recommendations quoted, each once."""


SUTURE = "suture"
