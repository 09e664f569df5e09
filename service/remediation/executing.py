"""The steps of an execution that runs: act, verify, roll back.

Each may run again after a crash, so each is idempotent; each returns JSON. What was begun is finished, verified and
recorded even where a person has taken the incident meanwhile; the incident then stays as the person left it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from models.domain.base import Clock
from models.domain.execution import FINAL_STATES, ExecutionState, StepRecord, Verification
from models.domain.incident import IncidentStatus
from models.domain.runbook import Step
from service.pipeline import Pipeline
from service.remediation import words
from service.remediation.closing import Closing
from service.store.executions import Executions
from service.store.incidents import Incidents

_S = IncidentStatus
_E = ExecutionState


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
    ) -> None:
        """`pause` waits for so many seconds, or ends the step where the worker stops."""
        self._pipeline = pipeline
        self._closing = closing
        self._incidents = incidents
        self._executions = executions
        self._clock = clock
        self._pause = pause

    def act(self, execution_id: str) -> dict[str, Any]:
        """Perform the action."""
        execution = self._executions.get(execution_id)
        begun = any(step.name == "act" for step in execution.steps)
        # A restart may lie between the start and here.
        refusal = None if begun else self._pipeline.refusal(execution)
        if refusal is not None:
            return {"result": "failed", "detail": f"nothing was done: {refusal}"}
        step = Step(uses=execution.candidate.uses, arguments=execution.candidate.arguments)
        return self._pipeline.execute(execution, "act", step).model_dump(mode="json")

    def verify(self, execution_id: str, episode: int) -> dict[str, Any]:
        """Measure whether it helped."""
        execution = self._executions.get(execution_id)
        self._executions.transition(execution_id, _E.VERIFYING, self._record("act", "done", "now measured"))
        self._incidents.advance(execution.incident, episode, _S.VERIFYING, words.checks(execution.candidate.verify))
        return self._pipeline.verify(execution, self._pause).model_dump(mode="json")

    def succeeded(self, execution_id: str, verified: dict[str, Any]) -> str:
        """Verified health."""
        verification = Verification.model_validate(verified)
        text = words.verification(verification)
        record = self._record("verify", "done", text)
        self._closing.close(execution_id, _E.SUCCEEDED, record, "verified", verification)
        return text

    def roll_back(self, execution_id: str, verified: dict[str, Any]) -> dict[str, Any]:
        """Not verified healthy: undo it where the runbook says how."""
        verification = Verification.model_validate(verified)
        text = words.verification(verification)
        execution = self._executions.get(execution_id)
        rollback = execution.candidate.rollback
        if rollback is None:
            detail = f"{text}; the runbook has no rollback for it"
            record = self._record("verify", "failed", detail)
            self._closing.close(execution_id, _E.FAILED, record, "failed", verification)
            return {"uncertain": False, "detail": detail}
        if execution.state not in FINAL_STATES:
            record = self._record("verify", "failed", text)
            self._executions.transition(execution_id, _E.ROLLING_BACK, record, verification=verification)
            execution = self._executions.get(execution_id)
        result = self._pipeline.execute(execution, "rollback", rollback)
        to = {"done": _E.ROLLED_BACK, "failed": _E.FAILED, "uncertain": _E.UNCERTAIN}[result.result]
        how = "rolled back" if result.result == "done" else f"rollback {result.result}: {result.detail}"
        detail = f"{text}; {how}"
        self._closing.close(execution_id, to, self._record("rolled-back", result.result, detail), "failed")
        return {"uncertain": result.result != "done", "detail": detail}

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
