"""A decision of the guard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evals.bench.figures import Figure, percentiles, timed
from models.domain.base import utc_now
from models.domain.recommendation import Candidate, RankedCandidate

if TYPE_CHECKING:
    from service.guard.guard import Guard
    from service.guard.policy import Policies
    from service.store.database import Database

_DECISIONS = 500
_POLICIES, _OUTCOMES, _ACTIONS = 200, 10_000, 20
_POLICY = """
@id("bench-{number}")
permit (principal == Autopilot::"suture", action in Action::"act", resource)
when {{
    context.runbook == "runbook-{number}" &&
    context.probability.greaterThan(decimal("0.5")) &&
    context.verified_success.greaterThan(decimal("0.9"))
}};
"""


def bench_guard(folder: Path) -> list[Figure]:
    """Whole decisions that end with people, the longest way, beside one answer of Cedar over the same policies.

    First as an installation begins: the default set, an empty database. Then an old one: 200 policies more, and
    10,000 outcomes of 20 actions.
    """
    many = folder / "policies"
    many.mkdir()
    (many / "many.cedar").write_text("".join(_POLICY.format(number=number) for number in range(_POLICIES)))
    (many / "default.cedar").write_text(_default().read_text(encoding="utf-8"))
    return [
        *_measured("guard decision, new", folder / "new", None, 0),
        *_measured("guard decision, old", folder / "old", many, _OUTCOMES),
    ]


def _measured(name: str, folder: Path, policies: Path | None, outcomes: int) -> list[Figure]:
    from service.guard.policy_schema import AUTOPILOT, Request

    ranked = RankedCandidate(candidate=_candidate(), probability=0.9, justification="", citations=())
    with _guard(folder, policies, outcomes) as (guard, asked):
        made = guard.decide(ranked)
        decisions = timed([partial(guard.decide, ranked)] * _DECISIONS)
    request = Request("process/restart", "process:shop", "shop", "bench", made.context)
    answers = timed([partial(asked.ask, AUTOPILOT, request)] * _DECISIONS)
    note = f"{len(asked.names)} policies, {outcomes:,} outcomes; peer: one answer of Cedar, of 3 asked"
    return percentiles(name, decisions, answers, note)


@contextmanager
def _guard(folder: Path, own: Path | None, outcomes: int) -> Iterator[tuple[Guard, Policies]]:
    """A guard with all that the service gives it."""
    from models.domain.topology import Topology
    from service.guard.autonomy import Levels
    from service.guard.guard import Guard
    from service.guard.limits import Limits
    from service.guard.policy import load_policies
    from service.registry import verb_catalogue
    from service.settings import load_settings
    from service.store.audit import AuditLog
    from service.store.autonomy import Autonomies
    from service.store.database import open_database
    from service.store.executions import Executions
    from service.store.incidents import Incidents
    from service.store.state import KillSwitch

    settings = load_settings(state_dir=folder, mode="auto", policies=own)
    policies = load_policies(own, verb_catalogue())
    database = open_database(f"sqlite:///{folder / 'bench.db'}")
    try:
        _fill(database, outcomes)
        audit = AuditLog(database, utc_now)
        executions = Executions(database, audit, utc_now)
        incidents = Incidents(database, audit, utc_now)
        levels = Levels(Autonomies(database, audit), executions, incidents, settings, utc_now)
        limits = Limits(database, settings.limits, Topology(), utc_now)
        switch = KillSwitch(database, audit)
        guard = Guard(
            policies, settings, switch, executions, utc_now, autonomy=levels, limits=limits, one_view=database.one_view
        )  # fmt: skip
        yield guard, policies
    finally:
        database.close()


def _fill(database: Database, outcomes: int) -> None:
    """Outcomes without their executions, in one statement: the audit would make it take minutes."""
    from sqlalchemy import insert

    from models.domain.execution import ExecutionState, Outcome
    from service.store.tables import outcomes as table

    rows = []
    for number in range(outcomes):
        outcome = Outcome(
            execution=f"EXE-{number}",
            incident=f"INC-{number}",
            runbook="service-down",
            action="restart-process" if number % _ACTIONS == 0 else f"action-{number % _ACTIONS}",
            uses="process/restart",
            environment="bench",
            state=ExecutionState.SUCCEEDED,
            verified=number // _ACTIONS % 10 > 0,
            at=utc_now(),
        )
        kept = ("execution", "uses", "runbook", "action", "environment", "verified")
        row = {name: getattr(outcome, name) for name in kept}
        rows.append({**row, "at": outcome.at.isoformat(), "document": outcome.model_dump(mode="json")})
    if rows:
        with database.write() as connection:
            connection.execute(insert(table), rows)


def _default() -> Path:
    from service.guard.policy_files import DEFAULT_POLICIES

    return DEFAULT_POLICIES / "default.cedar"


def _candidate() -> Candidate:
    return Candidate(
        incident="INC-1",
        environment="bench",
        service="shop",
        runbook="service-down",
        action="restart-process",
        title="Restart the process",
        uses="process/restart",
        arguments={"name": "shop"},
        target="process:shop",
        parameters={"process": "shop"},
        risk="low",
        reversible=True,
        approval="policy",
        timeout=timedelta(seconds=60),
        preconditions=(),
        verify=(),
        rollback=None,
    )
