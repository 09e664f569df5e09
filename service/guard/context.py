"""What policies are told of a candidate, as JSON values: kept with the decision, so that it can be explained later."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.domain.base import Severity
from models.domain.execution import Mode
from models.domain.recommendation import Candidate
from service.guard.policy_schema import Request
from service.guard.record import SuccessRecord
from service.guard.surroundings import Reach

REFUSED = "refused"
"""Beside what policies are told: what stood in the way whatever they say, where something did."""
REFUSED_FOR = "refused_for"
"""And what that is about: the `action`, the `target`, or the whole `service`, whatever else were tried on it."""

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NO_ACT = {
    "probability": 1.0,
    "risk": "low",
    "reversible": True,
    "approval": "policy",
    "runbook": "",
    "requested": False,
    "approvals": 0,
    "verified_success": 0.0,
    "outcomes": 0,
    "blast_radius": {"targets": 0},
}
"""What only acts have, as it is said of messages: that which asks for the least care."""


@dataclass(frozen=True)
class Circumstances:
    """What is so around a candidate, beside what it is."""

    mode: Mode
    """The environment's."""
    level: Mode
    """What the action has earned."""
    record: SuccessRecord
    blast_radius: Reach | None = None
    """None: limits are not counted here."""
    error_budget: float | None = None
    severity: str = Severity.WARNING
    """The incident's."""
    requested: bool = False
    """A person asked for it."""
    approvals: int = 0
    """Different people who said yes so far."""


def context_of(candidate: Candidate, probability: float, now: datetime, around: Circumstances) -> dict[str, Any]:
    """The context of a question about a candidate."""
    reach = around.blast_radius
    context: dict[str, Any] = {
        "mode": str(around.mode),
        "level": str(around.level),
        "probability": float(probability),
        "risk": candidate.risk,
        "reversible": candidate.reversible,
        "approval": candidate.approval,
        "runbook": candidate.runbook,
        "action": candidate.action,
        "environment": candidate.environment,
        "severity": str(around.severity),
        "requested": around.requested,
        "approvals": around.approvals,
        "verified_success": float(around.record.lower_bound),
        "outcomes": around.record.total,
        "blast_radius": {"targets": reach.targets if reach else 0},
        **at(now),
    }
    if reach is not None and reach.share is not None:
        context["blast_radius"]["share"] = float(reach.share)
    if around.error_budget is not None and math.isfinite(around.error_budget):
        context["error_budget"] = float(around.error_budget)
    return context


def message_context(name: str, now: datetime, *, mode: Mode, environment: str, severity: str) -> dict[str, Any]:
    """The context of a question about a message."""
    own = {"mode": str(mode), "level": str(mode), "action": name, "environment": environment, "severity": str(severity)}
    return {**_NO_ACT, **own, **at(now)}


def at(now: datetime) -> dict[str, Any]:
    """The attributes that tell the time, in UTC."""
    moment = now.astimezone(UTC)
    return {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "hour": moment.hour,
        "weekday": _WEEKDAYS[moment.weekday()],
    }


def request_of(candidate: Candidate, context: dict[str, Any]) -> Request:
    """What the policies are asked about a candidate."""
    return Request(candidate.uses, candidate.target, candidate.service or "", candidate.environment, context)
