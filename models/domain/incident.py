"""Incidents: signals that belong together, and the states that an incident goes through."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from models.domain.base import Frozen, Labels, Severity, Time
from models.domain.signal import Score, Signal


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    AWAITING_APPROVAL = "awaiting_approval"
    MITIGATING = "mitigating"
    VERIFYING = "verifying"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    CLOSED = "closed"


_S = IncidentStatus
INCIDENT_TRANSITIONS: dict[IncidentStatus, frozenset[IncidentStatus]] = {
    _S.OPEN: frozenset({_S.INVESTIGATING, _S.RESOLVED, _S.ESCALATED, _S.CLOSED}),
    # A candidate may fail its precondition or its verification, and the next one is then tried: hence the ways back.
    _S.INVESTIGATING: frozenset({_S.AWAITING_APPROVAL, _S.MITIGATING, _S.RESOLVED, _S.ESCALATED, _S.CLOSED}),
    _S.AWAITING_APPROVAL: frozenset({_S.INVESTIGATING, _S.MITIGATING, _S.RESOLVED, _S.ESCALATED, _S.CLOSED}),
    _S.MITIGATING: frozenset({_S.VERIFYING, _S.INVESTIGATING, _S.ESCALATED, _S.CLOSED}),
    _S.VERIFYING: frozenset({_S.RESOLVED, _S.MITIGATING, _S.INVESTIGATING, _S.ESCALATED, _S.CLOSED}),
    _S.ESCALATED: frozenset({_S.OPEN, _S.INVESTIGATING, _S.RESOLVED, _S.CLOSED}),
    _S.RESOLVED: frozenset({_S.OPEN, _S.CLOSED}),
    _S.CLOSED: frozenset(),
}
"""Which status may follow which. Every change is a compare-and-set in the store, with an audit entry."""

ACTIVE_STATUSES = frozenset(_S) - {_S.RESOLVED, _S.CLOSED}
"""Statuses in which an incident still takes signals and work."""

WORKING_STATUSES = ACTIVE_STATUSES - {_S.ESCALATED}
"""Statuses in which Suture works on an incident; in the others it ended, or is a person's."""

WITH_PEOPLE_STATUSES = frozenset({_S.ESCALATED, _S.AWAITING_APPROVAL})
"""Statuses in which people have the next word."""


class Impact(Frozen):
    """Who suffers, and how much."""

    services: tuple[str, ...] = ()
    """Services with signals of their own."""
    downstream: tuple[str, ...] = ()
    """Services that depend on those, from the topology."""
    failing_share: Score | None = None
    """Share of requests that fail now, in [0, 1]; None where no request metric is known."""
    budget_burned: Score | None = None
    """The largest share of an error budget that was lost since the incident began, in [0, 1]; None without objectives
    of these services."""
    summary: str = ""


class Culprit(Frozen):
    """A service (and metric) ranked as the origin."""

    service: str
    metric: str | None = None
    probability: Score
    reason: str = ""


class Request(Frozen):
    """A person asked Suture for one action of the catalogue."""

    runbook: str
    action: str
    by: str


class TimelineEntry(Frozen):
    """One thing that happened to an incident, in words, with its data."""

    at: Time
    kind: str
    text: str
    data: dict[str, Any] = Field(default_factory=dict)


class Incident(Frozen):
    """Signals that belong together. `id` is `INC-<number>`, given by the store."""

    id: str
    title: str = Field(min_length=1, max_length=500)
    description: str = ""
    severity: Severity = Severity.WARNING
    status: IncidentStatus = IncidentStatus.OPEN
    environment: str = "default"
    services: tuple[str, ...] = ()
    labels: Labels = Field(default_factory=dict)
    """Labels of the culprit service and those that all signals share: what runbook parameters read."""
    signals: tuple[Signal, ...] = ()
    impact: Impact = Field(default_factory=Impact)
    culprits: tuple[Culprit, ...] = ()
    started_at: Time
    """When the first signal says that it began."""
    detected_at: Time
    updated_at: Time
    ended_at: Time | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    episode: int = 1
    """Counts from 1; a reopened incident is in its next one."""
    abstained_with: tuple[str, ...] | None = None
    """Runbooks whose triggers had matched when there was nothing to recommend; None where that is not so. A trigger of
    another one, matched by a later signal, is a reason to look again."""
    requested: Request | None = None
    """The action that a person asked for in this episode: it alone is tried, behind the guard as any other."""
    merged_into: str | None = None
    """The incident that has its signals since it was closed as a part of that."""
    apart_from: tuple[str, ...] = ()
    """Incidents that a person split off it, or it off; they are never merged by themselves."""
    version: int = 0
    """Counts changes of the stored document: a writer that read an older one is refused."""

    @property
    def culprit(self) -> Culprit | None:
        """The most probable origin."""
        return self.culprits[0] if self.culprits else None
