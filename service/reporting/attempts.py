"""What became of one candidate: from its execution, and what people said of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.domain.execution import FINAL_STATES, Approval, CheckResult, Execution, ExecutionState, Health
from models.domain.recommendation import Recommendation
from service.remediation.words import measured_before, one_line
from service.reporting.facts import Attempt, EndedAt, Measured, Reading, Word

_S = ExecutionState


def attempt_of(execution: Execution, approvals: Sequence[Approval], offered: Sequence[Recommendation]) -> Attempt:
    """The facts of one execution. `offered`: the recommendations that it may have come from."""
    candidate, decision, verification = execution.candidate, execution.decision, execution.verification
    return Attempt(
        execution=execution.id,
        runbook=candidate.runbook,
        action=candidate.action,
        title=one_line(candidate.title),
        uses=candidate.uses,
        target=candidate.target,
        risk=candidate.risk,
        probability=execution.probability,
        place=_place(execution, offered),
        verdict=decision.verdict,
        mode=decision.mode,
        reason=decision.reason,
        policies=decision.policies,
        requested_by=execution.requested_by,
        words=tuple(_word(each, execution.created_at) for each in approvals),
        state=execution.state,
        ended_at_stage=_stage(execution),
        why=_why(execution),
        created_at=execution.created_at,
        acted_at=_acted(execution),
        closed_at=execution.ended_at,
        health=verification.health if verification else None,
        verified_in_seconds=verification.took.total_seconds() if verification else None,
        measured=_measured(execution),
        has_rollback=candidate.rollback is not None,
    )


def _place(execution: Execution, offered: Sequence[Recommendation]) -> int | None:
    for made in reversed(offered):
        for place, ranked in enumerate(made.candidates, 1):
            if ranked.candidate.hash == execution.candidate.hash:
                return place
    return None


def _word(approval: Approval, asked: datetime) -> Word:
    return Word(
        by=approval.by,
        role=approval.role,
        approved=approval.approved,
        at=approval.at,
        waited_seconds=max(0.0, (approval.at - asked).total_seconds()),
        comment=one_line(approval.comment),
    )


def _why(execution: Execution) -> str:
    if execution.state not in FINAL_STATES or not execution.steps:
        return ""
    return one_line(execution.steps[-1].detail)


def _acted(execution: Execution) -> datetime | None:
    done = [step.at for step in execution.steps if step.name == "act" and step.state == "done"]
    return min(done) if done else None


def _stage(execution: Execution) -> EndedAt | None:
    """The stage that it did not pass."""
    verification = execution.verification
    if execution.state is _S.SUCCEEDED or execution.state not in FINAL_STATES:
        return None
    if verification is not None and verification.health is not Health.HEALTHY:
        return "verification"
    if any(step.name == "act" for step in execution.steps):
        return "act"
    return "decision" if execution.state is _S.CANCELLED else "start"


def _measured(execution: Execution) -> tuple[Measured, ...]:
    first = measured_before(execution)
    checks = execution.verification.checks if execution.verification else ()
    return tuple(
        Measured(
            subject=check.subject,
            condition=check.condition,
            before=_reading(first[key]) if (key := (check.subject, check.condition)) in first else None,
            after=_reading(check),
        )
        for check in checks
    )


def _reading(result: CheckResult) -> Reading:
    return Reading(at=result.at, values=result.values, passed=result.passed, detail=one_line(result.detail))
