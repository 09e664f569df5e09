"""Recorded decisions: found again, explained, and asked of other policies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from models.domain.base import Severity
from models.domain.execution import Decision, Execution, Mode, Outcome, Verdict
from models.domain.incident import Incident, TimelineEntry
from models.domain.recommendation import Candidate, RankedCandidate, Recommendation
from service.guard.context import REFUSED, Circumstances, context_of
from service.guard.judging import Judgement, judge
from service.guard.policy import Policies
from service.guard.record import SuccessRecord

_PAGE = 200


class IncidentStore(Protocol):
    """The incidents, as far as they are asked here."""

    def get(self, identifier: str) -> Incident:
        """One incident with its timeline."""

    def page(self, *, after: int | None = None, limit: int = 50) -> list[Incident]:
        """Incidents, newest first, older than number `after`."""


class ExecutionStore(Protocol):
    """The executions, as far as they are asked here."""

    def page(
        self, *, after: int | None = None, limit: int = 50, incident: str | None = None
    ) -> list[tuple[int, Execution]]:
        """Executions with their row numbers, newest first."""

    def outcomes(self, runbook: str, action: str, environment: str | None) -> list[Outcome]:
        """All outcomes of an action in an environment."""


class RecommendationStore(Protocol):
    """The recommendations, as far as they are asked here."""

    def of(self, incident: str) -> list[Recommendation]:
        """All recommendations for an incident, oldest first."""


@dataclass(frozen=True)
class Recorded:
    """One decision that was made, with what the policies were told."""

    incident: str
    execution: str
    """What it was, or would have been, run as."""
    candidate: Candidate
    decision: Decision
    context: dict[str, Any]
    recomputed: bool
    """The context was not kept: it is made of what is known of that time."""


@dataclass(frozen=True)
class Replayed:
    """One recorded decision beside what other policies make of it."""

    recorded: Recorded
    would_be: Judgement

    @property
    def differs(self) -> bool:
        """Whether anything would have happened differently."""
        was, now = self.recorded.decision, self.would_be
        people = (was.approver_role, was.approvers, was.approvals_needed)
        return was.verdict is not now.verdict or people != (now.role, now.people, now.count)


class Recordings:
    """All decisions that an installation remembers."""

    def __init__(
        self, incidents: IncidentStore, executions: ExecutionStore, recommendations: RecommendationStore
    ) -> None:
        self._incidents = incidents
        self._executions = executions
        self._recommendations = recommendations

    def since(self, start: datetime | None) -> Iterator[Recorded]:
        """Decisions made at `start` or later, those of the newest incident first."""
        after: int | None = None
        while page := self._incidents.page(after=after, limit=_PAGE):
            for incident in page:
                if start is None or incident.ended_at is None or incident.ended_at >= start:
                    decided = self.of(incident.id)
                    yield from (one for one in decided if start is None or one.decision.decided_at >= start)
            after = int(page[-1].id.removeprefix("INC-"))

    def of(self, identifier: str) -> list[Recorded]:
        """The decisions of one incident, in order. Raises NotFound."""
        incident = self._incidents.get(identifier)
        executions = {one.id: one for _, one in self._executions.page(incident=identifier, limit=_PAGE)}
        found = [self._run(incident, one) for one in executions.values()]
        for entry in incident.timeline:
            if entry.kind == "decided" and entry.data.get("execution") not in executions:
                forbidden = self._forbidden(incident, entry)
                found += [forbidden] if forbidden else []
        return sorted(found, key=lambda one: one.decision.decided_at)

    def _run(self, incident: Incident, execution: Execution) -> Recorded:
        requested = execution.requested_by is not None
        return self._recorded(
            incident, execution.id, execution.candidate, execution.probability, execution.decision, requested
        )

    def _forbidden(self, incident: Incident, entry: TimelineEntry) -> Recorded | None:
        """A decision that led to no execution: the timeline has it, the recommendation its candidate."""
        name = str(entry.data.get("execution", ""))
        kept = entry.data.get("decision")
        decision = Decision.model_validate(kept) if kept else None
        for ranked in self._ranked(incident.id, name):
            candidate = ranked.candidate
            if decision.candidate_hash == candidate.hash if decision else entry.text.startswith(f"{candidate.title}: "):
                decision = decision or _told(entry, candidate)
                return self._recorded(incident, name, candidate, ranked.probability, decision, False)
        return None

    def _ranked(self, incident: str, execution: str) -> list[RankedCandidate]:
        """What may have been decided on: an episode has recommendations of its own, and the name says which."""
        episode = execution.removeprefix("EXE-").rpartition("-")[0]
        known = self._recommendations.of(incident)
        made = [one for one in known if f"{one.id}-".startswith(f"REC-{episode}-")]
        return [ranked for one in made or known[-1:] for ranked in one.candidates]

    def _recorded(
        self,
        incident: Incident,
        name: str,
        candidate: Candidate,
        probability: float,
        decision: Decision,
        requested: bool,
    ) -> Recorded:
        context = decision.context or self._context(incident, candidate, probability, decision, requested)
        return Recorded(incident.id, name, candidate, decision, context, recomputed=not decision.context)

    def _context(
        self, incident: Incident, candidate: Candidate, probability: float, decision: Decision, requested: bool
    ) -> dict[str, Any]:
        """What the policies would have been told, from the outcomes up to that time. Limits are not known any more."""
        at = decision.decided_at
        known = self._executions.outcomes(candidate.runbook, candidate.action, candidate.environment)
        then = [outcome.verified for outcome in known if outcome.at < at]
        around = Circumstances(
            mode=decision.mode,
            level=decision.level or Mode.AUTO,
            record=SuccessRecord(sum(then), len(then)),
            severity=incident.severity or Severity.WARNING,
            requested=requested,
        )
        context = context_of(candidate, probability, at, around)
        stopped = decision.verdict is Verdict.FORBID and not decision.policies
        return {**context, REFUSED: decision.reason} if stopped and "no policy" not in decision.reason else context


def replay(policies: Policies, recorded: Recorded) -> Replayed:
    """What these policies make of a recorded decision. What stood in the way whatever policies say, still does."""
    return Replayed(recorded, judge(policies, recorded.candidate, recorded.context))


def _told(entry: TimelineEntry, candidate: Candidate) -> Decision:
    """The decision as far as a timeline of before decisions were kept tells it."""
    return Decision(
        candidate_hash=candidate.hash,
        verdict=Verdict(entry.data.get("verdict", Verdict.FORBID)),
        mode=Mode.AUTO,
        policies=tuple(entry.data.get("policies", ())),
        reason=entry.text.removeprefix(f"{candidate.title}: forbidden: "),
        decided_at=entry.at,
    )
