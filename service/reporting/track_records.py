"""How often each action helped, by environment: what the ranker weighs and autonomy is earned by, for people's eyes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from models.domain.base import Frozen, Time
from models.domain.execution import ExecutionState, Outcome
from models.domain.signal import Score
from service.guard.record import SuccessRecord

_S = ExecutionState


class TrackRecord(Frozen):
    """One action in one environment. What never started, and what a person stopped, is not counted."""

    runbook: str
    action: str
    environment: str
    uses: str
    """As of the last run."""
    runs: int
    verified: int
    """Runs after which health was measured."""
    failed: int
    rolled_back: int
    uncertain: int
    lower_bound: Score
    """The one-sided 95 % lower bound of the rate of verified success (Clopper and Pearson)."""
    last_at: Time


def track_records(outcomes: Iterable[Outcome]) -> list[TrackRecord]:
    """One for each action and environment, in the order of their names. `outcomes`: oldest first."""
    grouped: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        grouped[outcome.runbook, outcome.action, outcome.environment].append(outcome)
    return [_record(grouped[key]) for key in sorted(grouped)]


def _record(runs: Sequence[Outcome]) -> TrackRecord:
    states, verified, last = Counter(run.state for run in runs), sum(run.verified for run in runs), runs[-1]
    return TrackRecord(
        runbook=last.runbook,
        action=last.action,
        environment=last.environment,
        uses=last.uses,
        runs=len(runs),
        verified=verified,
        failed=states[_S.FAILED],
        rolled_back=states[_S.ROLLED_BACK],
        uncertain=states[_S.UNCERTAIN],
        lower_bound=SuccessRecord(verified, len(runs)).lower_bound,
        last_at=last.at,
    )
