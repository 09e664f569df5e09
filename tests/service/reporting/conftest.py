"""An incident told by hand: an anomaly, an alert, a first candidate that does not help, a second that does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.domain.base import Severity
from models.domain.execution import (
    Approval,
    CheckResult,
    Decision,
    Execution,
    ExecutionState,
    Health,
    Mode,
    StepRecord,
    Verdict,
    Verification,
)
from models.domain.incident import Incident, IncidentStatus, TimelineEntry
from models.domain.recommendation import Candidate, Citation, RankedCandidate, Recommendation
from models.domain.runbook import Check, Step
from models.domain.signal import Anomaly, Signal, SignalKind
from service.incident_report import Record

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture(name="at")
def _at() -> Callable[[float], datetime]:
    """The time so many seconds after the first signal."""
    return at


def check(value: float, seconds: float) -> CheckResult:
    return CheckResult(subject="up", condition="== 1", passed=value == 1, values=(value,), at=at(seconds))


def candidate(action: str, *, rollback: bool) -> Candidate:
    return Candidate(
        incident="INC-7", environment="prod", service="shop", runbook="shop-down", action=action,
        title=f"{action.capitalize()} the shop", uses=f"process/{action}", arguments={"name": "shop"},
        target="process:shop", parameters={}, risk="low", reversible=True, approval="policy",
        timeout=timedelta(seconds=60), preconditions=(), verify=(Check(query="up", condition="== 1"),),
        rollback=Step(uses="process/stop", arguments={"name": "shop"}) if rollback else None,
    )  # fmt: skip


def execution(number: int, made: Candidate, created: float, state: ExecutionState, **changes: Any) -> Execution:
    decision = Decision(
        candidate_hash=made.hash, verdict=Verdict.NEEDS_APPROVAL, mode=Mode.APPROVE, reason="mode approve",
        approvals_needed=1, decided_at=at(created),
    )  # fmt: skip
    return Execution(
        id=f"EXE-7-1-{number}", incident="INC-7", candidate=made, probability=0.9 / number, decision=decision,
        state=state, created_at=at(created), started_at=at(created + 1), **changes,
    )  # fmt: skip


def step(name: str, state: Any, seconds: float, detail: str = "", **data: Any) -> StepRecord:
    return StepRecord(name=name, state=state, at=at(seconds), detail=detail, data=data)


def entry(seconds: float, kind: str, text: str = "", **data: Any) -> TimelineEntry:
    return TimelineEntry(at=at(seconds), kind=kind, text=text, data=data)


def approval(number: int, seconds: float) -> Approval:
    return Approval(
        id=f"A-{number}", execution=f"EXE-7-1-{number}", candidate_hash="0", approved=True, by="ann", role="approver",
        comment="go # Owned", at=at(seconds), expires_at=at(9999), signature="s",
    )  # fmt: skip


@pytest.fixture
def record() -> Record:
    anomaly = Anomaly(
        labels={}, at=at(0), score=0.9, p_value=0.001, observed=9, expected=1, lower=0, upper=2, direction="up"
    )
    signals = (
        Signal(kind=SignalKind.ANOMALY, name="latency", metric="latency_seconds", at=at(0), anomaly=anomaly),
        Signal(kind=SignalKind.ALERT, name="ShopDown", at=at(40), text="down\n# Owned", source="alertmanager"),
    )
    before = check(0, 150).model_dump(mode="json")
    restart, replace = candidate("restart", rollback=False), candidate("replace", rollback=True)
    failed = execution(
        1, restart, 100, ExecutionState.FAILED,
        steps=(
            step("preconditions", "done", 151, "", before=[before]), step("act", "started", 152, "restart"),
            step("act", "done", 155, "done"), step("act", "done", 156, "now measured"),
            step("verify", "failed", 180, "not healthy after 24.0 s; the runbook has no rollback for it"),
        ),
        verification=Verification(health=Health.NOT_HEALTHY, checks=(check(0, 180),), took=timedelta(seconds=24)),
        ended_at=at(180),
    )  # fmt: skip
    helped = execution(
        2, replace, 200, ExecutionState.SUCCEEDED,
        steps=(
            step("preconditions", "done", 621, "", before=[before]), step("act", "started", 622, "replace"),
            step("act", "done", 625, "done"), step("act", "done", 626, "now measured"),
            step("verify", "done", 640, "healthy"),
        ),
        verification=Verification(health=Health.HEALTHY, checks=(check(1, 640),), took=timedelta(seconds=14)),
        ended_at=at(640),
    )  # fmt: skip
    quote = Citation(document="shop-down", start=3, end=20, quote="Restart it first.")
    made = Recommendation(
        id="REC-7-1", incident="INC-7", created_at=at(70), gaps=("no logs",),
        candidates=(
            RankedCandidate(candidate=restart, probability=0.9, justification="", citations=(quote,)),
            RankedCandidate(candidate=replace, probability=0.45, justification="", citations=(quote,)),
        ),
    )  # fmt: skip
    incident = Incident(
        id="INC-7", title="shop is down\n# Owned", severity=Severity.CRITICAL, status=IncidentStatus.RESOLVED,
        signals=signals, environment="prod", services=("shop",), started_at=at(0), detected_at=at(60),
        updated_at=at(640), ended_at=at(640),
        timeline=(
            entry(60, "opened", "shop is down"), entry(65, "investigating", "looking"),
            entry(70, "recommended", "Restart the shop"), entry(99, "decided", "Restart: needs approval"),
            entry(180, "failed", "told by the step", execution="EXE-7-1-1"),
            entry(641, "resolved", "verified healthy", execution="EXE-7-1-2"),
        ),
    )  # fmt: skip
    words = {"EXE-7-1-1": [approval(1, 150)], "EXE-7-1-2": [approval(2, 620)]}
    return Record(incident, [made], [failed, helped], words)


@pytest.fixture
def reopened(record: Record) -> Record:
    """The same, open again and handed to a person who ended it."""
    back = Signal(kind=SignalKind.ALERT, name="ShopDown", at=at(1000), source="alertmanager")
    timeline = (
        *record.incident.timeline, entry(1010, "reopened", "it came back"), entry(1010, "open", "signals came back"),
        entry(1011, "investigating", "looking"), entry(1020, "escalated", "no candidate was left to try"),
        entry(1300, "resolved", "the disk was emptied", by="bob"),
    )  # fmt: skip
    changes = {"signals": (*record.incident.signals, back), "timeline": timeline, "episode": 2}
    incident = record.incident.model_copy(update=changes)
    return Record(incident, record.recommendations, record.executions, record.approvals)
