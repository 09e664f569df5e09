"""The installation's own recorded incidents, as cases: what was known when it recommended, and what helped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from evals.replay.case import Case, Truth
from models.domain.errors import Unavailable
from models.domain.execution import Decision, Execution, ExecutionState, Outcome
from models.domain.incident import Incident
from models.domain.recommendation import Recommendation
from models.domain.signal import Sample
from service.guard.replay import ExecutionStore, IncidentStore, RecommendationStore, Recordings
from service.guard.surroundings import Outcomes
from service.ports import SampleReader, Source
from service.promql.evaluation import LOOKBACK

_PAGE = 200


class Then:
    """The installation's source at a moment of the past.

    Embedded samples are kept for hours: of a time before them nothing is known, where an empty answer would say that
    nothing was there.
    """

    name = "then"

    def __init__(self, source: Source, kept: SampleReader | None) -> None:
        """`kept`: the embedded samples, where the source answers from them."""
        self._source = source
        self._kept = kept
        self._known: dict[datetime, bool] = {}

    def query(self, expression: str, at: datetime) -> list[Sample]:
        """As of Source. Raises Unavailable where nothing was kept of that time."""
        if self._kept is not None and not self._has(at):
            raise Unavailable("no samples are kept of that time any more")
        return self._source.query(expression, at)

    def healthy(self) -> bool:
        """As of Source."""
        return self._source.healthy()

    def _has(self, at: datetime) -> bool:
        if at not in self._known and self._kept is not None:
            self._known[at] = any(True for _ in self._kept.select(lambda _: True, at - LOOKBACK, at))
        return self._known[at]


class Before:
    """Outcomes up to a moment: what a recommendation then could know of the history."""

    def __init__(self, known: Outcomes, clock: Callable[[], datetime]) -> None:
        self._known = known
        self._clock = clock

    def outcomes(self, runbook: str, action: str, environment: str | None) -> list[Outcome]:
        """As of the executions' store, without what came later."""
        known = self._known.outcomes(runbook, action, environment)
        return [outcome for outcome in known if outcome.at < self._clock()]


def own_cases(incidents: IncidentStore, executions: ExecutionStore, recommendations: RecommendationStore) -> list[Case]:
    """All recorded incidents, oldest first."""
    recordings = Recordings(incidents, executions, recommendations)
    found: list[Case] = []
    after: int | None = None
    while page := incidents.page(after=after, limit=_PAGE):
        for incident in page:
            ran = [execution for _, execution in executions.page(incident=incident.id, limit=_PAGE)]
            found.append(_case(incident, ran, recommendations.of(incident.id), recordings))
        after = int(page[-1].id.removeprefix("INC-"))
    return found[::-1]


def _case(incident: Incident, ran: Sequence[Execution], made: Sequence[Recommendation], recordings: Recordings) -> Case:
    moment = min((one.created_at for one in made), default=incident.detected_at)
    decided = recordings.of(incident.id)
    first: Decision | None = decided[0].decision if decided else None
    return Case(
        id=incident.id,
        incident=_as_seen(incident, moment),
        moment=moment,
        truth=_helped(ran),
        resolved_at=incident.ended_at,
        was=first,
    )


def _as_seen(incident: Incident, moment: datetime) -> Incident:
    """The incident without what was learned later: its later signals, their ends, and what it led to."""
    # What begins an incident may carry a time of its own that is a little later than ours.
    seen = [one for one in incident.signals if one.at <= moment + timedelta(seconds=5)] or list(incident.signals)
    return incident.model_copy(
        update={
            "signals": tuple(one.model_copy(update={"status": "firing"}) for one in seen),
            "requested": None,
            "episode": 1,
            "timeline": (),
        }
    )


def _helped(ran: Sequence[Execution]) -> Truth | None:
    """The action after which verification measured health. Of others it is not known whether they would have helped."""
    good = [one for one in ran if one.state is ExecutionState.SUCCEEDED]
    return Truth(good[0].candidate.runbook, good[0].candidate.action) if good else None
