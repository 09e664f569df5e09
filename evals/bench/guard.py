"""A decision of the guard."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

from evals.bench.figures import Figure, percentiles, timed
from models.domain.base import utc_now
from models.domain.recommendation import Candidate, RankedCandidate

_DECISIONS = 300
_CONTEXT = {
    "mode": "auto",
    "probability": 0.9,
    "risk": "low",
    "reversible": True,
    "approval": "policy",
    "runbook": "service-down",
    "action": "restart-process",
    "environment": "bench",
    "verified_success": 0.0,
    "outcomes": 0,
}
"""What the guard tells Cedar of the candidate below."""


def bench_guard(folder: Path) -> list[Figure]:
    """A decision with the default policies over an empty database, beside Cedar's answer alone."""
    from service.guard.guard import Guard
    from service.guard.policy import AUTOPILOT, load_policies
    from service.registry import verb_catalogue
    from service.settings import load_settings
    from service.store.audit import AuditLog
    from service.store.database import open_database
    from service.store.executions import Executions
    from service.store.state import KillSwitch

    settings = load_settings(state_dir=folder)
    policies = load_policies(None, verb_catalogue())
    database = open_database(f"sqlite:///{folder / 'bench.db'}")
    audit = AuditLog(database, utc_now)
    guard = Guard(policies, settings, KillSwitch(database, audit), Executions(database, audit, utc_now), utc_now)
    ranked = RankedCandidate(candidate=_candidate(), probability=0.9, justification="", citations=())
    attributes = {"service": "shop", "environment": "bench"}
    ask = partial(policies.ask, AUTOPILOT, "process/restart", "process:shop", attributes, _CONTEXT)
    try:
        guard.decide(ranked)
        decisions = timed([partial(guard.decide, ranked)] * _DECISIONS)
    finally:
        database.close()
    note = "peer: one answer of Cedar; it takes 1 to 3"
    return percentiles("guard decision", decisions, timed([ask] * _DECISIONS), note)


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
