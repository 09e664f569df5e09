"""The steps of an execution that runs: act, verify, roll back.

Each may run again after a crash, so each is idempotent; each returns JSON. What was begun is finished, verified and
recorded even where a person has taken the incident meanwhile; the incident then stays as the person left it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from models.domain.base import Clock
from models.domain.execution import FINAL_STATES, Execution, ExecutionState, StepRecord, Verification
from models.domain.incident import IncidentStatus
from models.domain.runbook import Step
from service.pipeline import Pipeline
from service.remediation import words
from service.remediation.closing import TAKEN, Closing
from service.store.executions import Executions
from service.store.incidents import Incidents

_S = IncidentStatus
_E = ExecutionState


class _Cancelled(Exception):
    """A person asked to stop; the words say who."""


class Executing:
    """What is done with one execution that runs."""

    def __init__(
        self,
        pipeline: Pipeline,
        closing: Closing,
        incidents: Incidents,
        executions: Executions,
        clock: Clock,
        pause: Callable[[float], None],
        refusal: Callable[[Execution], str | None],
    ) -> None:
        """`pause` waits for so many seconds, or ends the step where the worker stops. `refusal` says why an execution
        may not start now.
        """
        self._pipeline = pipeline
        self._closing = closing
        self._incidents = incidents
        self._executions = executions
        self._clock = clock
        self._pause = pause
        self._refusal = refusal

    def rehearse(self, execution_id: str) -> dict[str, Any]:
        """The dry run: what the action would do, said by its target where that can tell. Nothing is changed."""
        execution = self._executions.get(execution_id)
        if execution.cancel is not None:
            return {"result": "cancelled", "detail": f"{_cancelled(execution)} before anything was done"}
        said = self._pipeline.rehearse(execution)
        if said.result == "done":
            self._executions.record(execution_id, self._record("dry-run", "done", said.detail))
        return said.model_dump(mode="json")

    def act(self, execution_id: str, episode: int) -> dict[str, Any]:
        """Perform the action, unless something stops it before it began: a person, or what forbids a start by now."""
        execution = self._executions.get(execution_id)
        if not execution.begun:
            if execution.cancel is not None:
                return {"result": "cancelled", "detail": f"{_cancelled(execution)} before anything was done"}
            if not self._incidents.is_worked_on(execution.incident, episode):
                return {"result": "cancelled", "detail": f"{TAKEN}; nothing was done"}
            # A restart, or a long dry run, may lie between the start and here.
            refusal = self._refusal(execution)
            if refusal is not None:
                return {"result": "failed", "detail": f"nothing was done: {refusal}"}
        step = Step(uses=execution.candidate.uses, arguments=execution.candidate.arguments)
        acted = self._pipeline.execute(execution, "act", step)
        stopped = self._executions.get(execution_id)
        if acted.result == "failed" and stopped.cancel is not None:
            return {"result": "cancelled", "detail": f"{_cancelled(stopped)}: {acted.detail}"}
        return acted.model_dump(mode="json")

    def verify(self, execution_id: str, episode: int) -> dict[str, Any]:
        """Measure whether it helped; a person who asks to stop ends that."""
        execution = self._executions.get(execution_id)
        self._executions.transition(execution_id, _E.VERIFYING, self._record("act", "done", "now measured"))
        self._incidents.advance(execution.incident, episode, _S.VERIFYING, words.checks(execution.candidate.verify))

        def pause(seconds: float) -> None:
            self._pause(seconds)
            if (now := self._executions.get(execution_id)).cancel is not None:
                raise _Cancelled(_cancelled(now))

        try:
            pause(0)
            return {"verification": self._pipeline.verify(execution, pause).model_dump(mode="json"), "cancelled": None}
        except _Cancelled as cancelled:
            return {"verification": None, "cancelled": str(cancelled)}

    def succeeded(self, execution_id: str, verified: dict[str, Any]) -> str:
        """Verified health."""
        verification = Verification.model_validate(verified["verification"])
        text = words.verification(verification)
        record = self._record("verify", "done", text)
        self._closing.close(execution_id, _E.SUCCEEDED, record, "verified", verification)
        return text

    def roll_back(self, execution_id: str, verified: dict[str, Any]) -> dict[str, Any]:
        """Not verified healthy, or cancelled after the act: undo it where the runbook says how."""
        cancelled = verified["cancelled"]
        verification = None if cancelled else Verification.model_validate(verified["verification"])
        text = (
            words.verification(verification) if verification else f"{cancelled} after the act, which was not verified"
        )
        execution = self._executions.get(execution_id)
        rollback = execution.candidate.rollback
        if rollback is None:
            detail = f"{text}; the runbook has no rollback for it"
            record = self._record("verify", "failed", detail)
            to = _E.CANCELLED if cancelled else _E.FAILED
            self._closing.close(execution_id, to, record, "failed", verification)
            return {"ending": "person" if cancelled else "next", "detail": detail}
        if execution.state not in FINAL_STATES:
            record = self._record("verify", "failed", text)
            changes: dict[str, Any] = {"verification": verification} if verification else {}
            self._executions.transition(execution_id, _E.ROLLING_BACK, record, **changes)
            execution = self._executions.get(execution_id)
        result = self._pipeline.execute(execution, "rollback", rollback)
        to = {"done": _E.ROLLED_BACK, "failed": _E.FAILED, "uncertain": _E.UNCERTAIN}[result.result]
        how = "rolled back" if result.result == "done" else f"rollback {result.result}: {result.detail}"
        detail = f"{text}; {how}"
        self._closing.close(execution_id, to, self._record("rolled-back", result.result, detail), "failed")
        return {"ending": "next" if result.result == "done" and not cancelled else "person", "detail": detail}

    def cancelled(self, execution_id: str, detail: str) -> str:
        """A person asked to stop before the act had an effect."""
        self._closing.close(execution_id, _E.CANCELLED, self._record("cancel", "done", detail), "declined")
        return detail

    def failed(self, execution_id: str, detail: str) -> str:
        """The act failed without effect."""
        execution = self._closing.close(execution_id, _E.FAILED, self._record("act", "failed", detail), "failed")
        return f"{execution.candidate.title!r} failed: {detail}"

    def uncertain(self, execution_id: str, detail: str) -> str:
        """The act may have taken effect: a person must look."""
        self._closing.close(execution_id, _E.UNCERTAIN, self._record("act", "uncertain", detail), "uncertain")
        return detail

    def _record(self, name: str, state: Literal["started", "done", "failed", "uncertain"], detail: str) -> StepRecord:
        return StepRecord(name=name, state=state, at=self._clock(), detail=detail)


def _cancelled(execution: Execution) -> str:
    request = execution.cancel
    if request is None:
        return "cancelled"
    return f"cancelled by {request.by}" + (f" ({request.reason})" if request.reason else "")
