from datetime import UTC, datetime, timedelta

import pytest

from models.domain.base import Severity
from models.domain.execution import (
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
from models.domain.recommendation import Candidate
from models.domain.runbook import Check
from models.domain.signal import Signal, SignalKind
from service.remediation import words

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVIL = "up`\n# Owned <script> [click](http://evil)"


def check(value, *, passed):
    return CheckResult(subject="up", condition="== 1", passed=passed, values=(value,), at=NOW)


@pytest.fixture
def execution():
    candidate = Candidate(
        incident="INC-7", environment="prod", service="shop", runbook="shop-down", action="restart",
        title="Restart the shop", uses="process/restart", arguments={"name": "shop"}, target="process:shop",
        parameters={}, risk="low", reversible=True, approval="policy", timeout=timedelta(seconds=60), preconditions=(),
        verify=(Check(query="up", condition="== 1"),), rollback=None,
    )  # fmt: skip
    decision = Decision(
        candidate_hash=candidate.hash, verdict=Verdict.PERMIT, mode=Mode.AUTO, reason="policy", decided_at=NOW
    )
    before = check(0.0, passed=False).model_dump(mode="json")
    return Execution(
        id="EXE-7-1-1", incident="INC-7", candidate=candidate, probability=0.9, decision=decision,
        state=ExecutionState.SUCCEEDED, created_at=NOW,
        steps=(
            StepRecord(name="preconditions", state="done", at=NOW, detail="up == 0", data={"before": [before]}),
            StepRecord(name="act", state="started", at=NOW, detail="restart"),
            # A switch of traffic has outputs of these names.
            StepRecord(name="act", state="done", at=NOW, detail="done", data={"before": "primary", "after": "standby"}),
            StepRecord(name="act", state="done", at=NOW, detail="now measured"),
            StepRecord(name="verify", state="done", at=NOW, detail="healthy"),
        ),
        verification=Verification(
            health=Health.HEALTHY, checks=(check(1.0, passed=True),), took=timedelta(seconds=15, milliseconds=27)
        ),
    )  # fmt: skip


@pytest.fixture
def incident():
    signal = Signal(kind=SignalKind.ALERT, name=EVIL, at=NOW, severity=Severity.CRITICAL, text=EVIL)
    return Incident(
        id="INC-7", title="shop is down", severity=Severity.CRITICAL, status=IncidentStatus.RESOLVED, signals=(signal,),
        environment="prod", services=("shop",), started_at=NOW, detected_at=NOW, updated_at=NOW, ended_at=NOW,
        timeline=(TimelineEntry(at=NOW, kind="resolved", text="verified", data={"execution": "EXE-7-1-1"}),),
    )  # fmt: skip


def test_the_log_shows_each_step_once_and_what_changed(execution):
    log = words.log(execution)
    assert log.count("act: done") == 1
    assert "now measured" not in log
    assert "verify: done, healthy after 15.0 s" in log
    assert "`up`: 0 before, 1 after; wanted == 1" in log


def test_the_ending_says_what_helped_and_the_measurements(incident, execution):
    ending = words.ending(incident, [execution])
    assert ending.startswith("INC-7 is resolved by Restart the shop (EXE-7-1-1): healthy after 15.0 s.")
    assert "0 before, 1 after" in ending


def test_texts_of_the_outside_are_code_on_one_line(incident):
    opening = words.opening(incident)
    assert not [line for line in opening.splitlines() if line.startswith("# ")]
    [line] = [line for line in opening.splitlines() if "Owned" in line]
    assert line.count("`") == 4, "two spans of code, which nothing inside can end"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (15.027, "15.0 s"), (192, "3 min 12 s"), (7500, "2 h 5 min")]
)
def test_durations_have_the_precision_that_they_are_worth(seconds, said):
    assert words.lasting(timedelta(seconds=seconds)) == said


def test_probabilities_are_never_certain():
    assert [words.percent(share) for share in (0.0, 0.004, 0.93, 0.999)] == ["below 1%", "below 1%", "93%", "above 99%"]


@pytest.mark.parametrize(
    ("asked", "escalated", "who"),
    [
        ({"approver_role": "approver"}, False, "the role approver"),
        ({"approver_role": "approver"}, True, "an admin"),
        ({"approvers": ("ann", "bob")}, False, "ann or bob"),
        ({"approvers": ("ann", "bob")}, True, "ann or bob"),
    ],
)
def test_a_reminder_names_who_can_answer_it(execution, asked, escalated, who):
    decision = execution.decision.model_copy(update=asked)
    waiting = execution.model_copy(update={"decision": decision})
    assert f"still waits for {who}, until" in words.reminder(waiting, NOW, escalated=escalated)
