"""The step before an act: what must hold holds, and the target is this execution's alone.

It may run again after a crash, so it is idempotent; it returns JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from models.domain.base import Clock
from models.domain.errors import Conflict
from models.domain.execution import FINAL_STATES, Execution, ExecutionState, StepRecord, Verdict
from models.domain.incident import IncidentStatus
from service.guard.approvals import Approvals
from service.pipeline import Pipeline
from service.remediation import words
from service.remediation.closing import TAKEN, Closing
from service.store.executions import Executions
from service.store.incidents import Incidents

_S = IncidentStatus
_E = ExecutionState

# A target that is busy for longer than this is not waited for: two minutes in all.
_BUSY_SECONDS = 2.0
_BUSY_TRIES = 60


class Starting:
    """How an execution that may run comes to run."""

    def __init__(
        self,
        pipeline: Pipeline,
        approvals: Approvals,
        closing: Closing,
        incidents: Incidents,
        executions: Executions,
        clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        """`pause` waits for so many seconds, or ends the step where the worker stops."""
        self._pipeline = pipeline
        self._approvals = approvals
        self._closing = closing
        self._incidents = incidents
        self._executions = executions
        self._clock = clock
        self._pause = pause

    def start(self, execution_id: str, episode: int) -> dict[str, Any]:
        """Check the preconditions and the guard's standing orders, then claim the target; waits while it is busy."""
        for _ in range(_BUSY_TRIES):
            execution = self._executions.get(execution_id)
            if execution.state in FINAL_STATES:
                # Cancelled meanwhile; or failed here, and a crash came before that was recorded.
                ending = "person" if execution.state is _E.CANCELLED else "next"
                return {"started": False, "ending": ending, "reason": execution.steps[-1].detail}
            if execution.state is _E.RUNNING:
                return self._begin(execution, episode)
            refusal = self._refusal(execution)
            if refusal is not None:
                return self._not_started(execution, "preconditions", refusal)
            if self._claim(execution):
                return self._begin(execution, episode)
            self._pause(_BUSY_SECONDS)
        return self._not_started(execution, "start", f"{execution.candidate.target} stayed busy with another execution")

    def _claim(self, execution: Execution) -> bool:
        """Whether the execution runs now; else its target is busy, or a person cancelled it meanwhile."""
        # What the verification will ask, as it is now: the ticket then shows what changed.
        before = [result.model_dump(mode="json") for result in self._pipeline.measured(execution.candidate.verify)]
        record = self._record("preconditions", "done", words.checks(execution.candidate.preconditions))
        record = record.model_copy(update={"data": {"before": before}})
        try:
            self._executions.transition(execution.id, _E.RUNNING, record)
        except Conflict:
            return False
        return True

    def _begin(self, execution: Execution, episode: int) -> dict[str, Any]:
        reason, data = f"running {execution.candidate.title!r}", {"execution": execution.id}
        if self._incidents.advance(execution.incident, episode, _S.MITIGATING, reason, data):
            return {"started": True}
        self._closing.close(execution.id, _E.CANCELLED, self._record("start", "failed", TAKEN), "declined")
        return {"started": False, "ending": "person", "reason": TAKEN}

    def _refusal(self, execution: Execution) -> str | None:
        """Why it may not start now."""
        decision = execution.decision
        if decision.candidate_hash != execution.candidate.hash:
            return "the candidate is not the one that was decided on"
        asked = decision.verdict is Verdict.NEEDS_APPROVAL
        if asked and not self._approvals.standing(execution).enough(decision.approvals_needed):
            return "its approval does not hold any more"
        return self._pipeline.refusal(execution) or self._unmet(execution)

    def _unmet(self, execution: Execution) -> str | None:
        for result in self._pipeline.preconditions(execution):
            if result.passed is not True:
                how = "does not hold" if result.passed is False else "could not be measured"
                return f"precondition `{result.subject} {result.condition}` {how}: {result.detail}"
        return None

    def _not_started(self, execution: Execution, step: str, detail: str) -> dict[str, Any]:
        ended = self._closing.close(execution.id, _E.FAILED, self._record(step, "failed", detail), "failed")
        ending = "person" if ended.state is _E.CANCELLED else "next"
        return {"started": False, "ending": ending, "reason": f"{execution.candidate.title!r} failed: {detail}"}

    def _record(self, name: str, state: Literal["started", "done", "failed", "uncertain"], detail: str) -> StepRecord:
        return StepRecord(name=name, state=state, at=self._clock(), detail=detail)
