"""The levels of autonomy in their order: what counts for each step, and what is missing to it in words."""

from __future__ import annotations

from models.domain.base import Frozen, Time
from models.domain.execution import Mode
from service.guard.record import SuccessRecord
from service.store.autonomy import Evidence, Standing

_LADDER = tuple(Mode)


class ActionAutonomy(Frozen):
    """Where an action stands in an environment, what counts for its next step, and what is missing to it."""

    runbook: str
    action: str
    environment: str
    level: Mode
    """What it has earned, or was given."""
    ceiling: Mode
    """The environment's mode."""
    effective: Mode
    """The lower of the two: what holds."""
    since: Time | None
    """None: it is where actions begin. What counts is what happened since."""
    reason: str
    by: str
    verified: int
    """Executions after which verification measured health."""
    failed: int
    """Executions that were begun and ended otherwise."""
    agreed: int
    """Incidents where a person did, or approved, what Suture would have done first."""
    disagreed: int
    """Incidents where a person rejected that, or did something else."""
    following: Mode | None
    """The next level; None at the highest."""
    successes: int
    """What speaks for the next level."""
    trials: int
    """What counts for it in all."""
    lower_bound: float
    """Of the rate of success: one-sided, 95 %, Clopper-Pearson."""
    sequential_bound: float
    """The same over all looks together."""
    bar: float
    """Both bounds must reach it."""
    missing: str
    """To the next level, in words."""


def rank(level: Mode) -> int:
    """0 for observe, 3 for auto."""
    return _LADDER.index(level)


def above(level: Mode) -> Mode | None:
    """The next level; None at the highest."""
    return _LADDER[rank(level) + 1] if level is not _LADDER[-1] else None


def counted(level: Mode, evidence: Evidence) -> SuccessRecord:
    """What counts for the step up from a level.

    To recommend, and to act after a person's yes, the choice must be right: agreement counts. To act alone it must be
    right and must help: a trial is an execution or a disagreement, and only verified health is a success. A rejection
    is a trial that failed, because at `auto` the action would have run; an agreement by itself is none, because it says
    nothing of whether the action helps.
    """
    if rank(level) < rank(Mode.APPROVE):
        return SuccessRecord(evidence.agreed, evidence.agreed + evidence.disagreed)
    return SuccessRecord(evidence.verified, evidence.verified + evidence.failed + evidence.disagreed)


def told(standing: Standing, first: bool, ceiling: Mode, evidence: Evidence, bar: float) -> ActionAutonomy:
    """A level for people. `first`: nothing has changed it yet."""
    record = counted(standing.level, evidence)
    return ActionAutonomy(
        runbook=standing.runbook,
        action=standing.action,
        environment=standing.environment,
        level=standing.level,
        ceiling=ceiling,
        effective=min(standing.level, ceiling, key=rank),
        since=None if first else standing.since,
        reason=standing.reason,
        by=standing.by,
        verified=evidence.verified,
        failed=evidence.failed,
        agreed=evidence.agreed,
        disagreed=evidence.disagreed,
        following=above(standing.level),
        successes=record.successes,
        trials=record.total,
        lower_bound=record.lower_bound,
        sequential_bound=record.sequential_bound,
        bar=bar,
        missing=_missing(standing.level, ceiling, record, bar, standing.environment),
    )


def bounds(record: SuccessRecord, bar: float) -> str:
    """A record that is looked at, in words."""
    return (
        f"{record.successes} of {record.total}, lower bounds {record.lower_bound:.2f} (Clopper-Pearson) "
        f"and {record.sequential_bound:.2f} (over all looks), bar {bar:g}"
    )


def _missing(level: Mode, ceiling: Mode, record: SuccessRecord, bar: float, environment: str) -> str:
    if level is Mode.AUTO:
        allowed = ceiling is Mode.AUTO
        return "" if allowed else f"the environment {environment!r} is in mode {ceiling}, which is the ceiling"
    wanted = record.wanted(bar)
    one, several = ("verified success", "verified successes") if level is Mode.APPROVE else ("agreement", "agreements")
    words = f"{wanted} more {one if wanted == 1 else several}{' in a row' if wanted > 1 else ''}"
    if rank(level) >= rank(ceiling):
        mode = f"a mode of {environment!r} above {ceiling}"
        return f"{mode}, and {words}" if wanted else mode
    return (
        words if wanted else "the next outcome: what was earned is enough, and is looked at when something is learned"
    )
