"""The step before an act: what must hold holds, and the target is this execution's alone.

It may run again after a crash, so it is idempotent; it returns JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from models.domain.base import Clock
from models.domain.errors import Conflict
from models.domain.execution import FINAL_STATES, Execution, ExecutionState, StepRecord, Verdict
from models.domain.incident import IncidentStatus
from service.guard.approvals import Approvals
from service.guard.limits import Held, Hold, Limits
from service.pipeline import Pipeline
from service.remediation import words
from service.remediation.closing import TAKEN, Closing
from service.store.executions import Executions, TargetBusy
from service.store.incidents import Incidents

_S = IncidentStatus
_E = ExecutionState

# A limit that holds for longer than this is not waited for: two minutes in all.
_BUSY_SECONDS = 2.0
_BUSY_TRIES = 60


class Starting:
    """How an execution that may run comes to run."""

    def __init__(
        self,
        pipeline: Pipeline,
        approvals: Approvals,
        limits: Limits,
        closing: Closing,
        incidents: Incidents,
        executions: Executions,
        clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        """`pause` waits for so many seconds, or ends the step where the worker stops."""
        self._pipeline = pipeline
        self._approvals = approvals
        self._limits = limits
        self._closing = closing
        self._incidents = incidents
        self._executions = executions
        self._clock = clock
        self._pause = pause

    def start(self, execution_id: str, episode: int) -> dict[str, Any]:
        """Check the preconditions and the guard's standing orders, then claim the target within all limits.

        A limit that soon lets go is waited for.
        """
        gives_up = self._clock() + timedelta(seconds=_BUSY_SECONDS * _BUSY_TRIES)
        hold: Hold | None = None
        for _ in range(_BUSY_TRIES):
            execution = self._executions.get(execution_id)
            if execution.state in FINAL_STATES:
                return self._ended(execution)
            if execution.state is _E.RUNNING:
                return self._begin(execution, episode)
            hold = self._limits.look(execution.candidate, self._clock())
            if hold is None or hold.wait:
                refusal = self.refusal(execution)
                if refusal is not None:
                    return self._not_started(execution, "preconditions", refusal)
                hold = self._claim(execution)
                if hold is None:
                    return self._begin(execution, episode)
            if not hold.wait or (hold.until is not None and hold.until > gives_up):
                break
            self._pause(_BUSY_SECONDS)
        return self._held(self._executions.get(execution_id), hold)

    def _claim(self, execution: Execution) -> Hold | None:
        """None where the execution runs now; else what holds it back."""
        # What the verification will ask, as it is now: the ticket then shows what changed.
        before = [result.model_dump(mode="json") for result in self._pipeline.measured(execution.candidate.verify)]
        record = self._record("preconditions", "done", words.checks(execution.candidate.preconditions))
        record = record.model_copy(update={"data": {"before": before}})
        try:
            self._executions.transition(execution.id, _E.RUNNING, record, admit=self._limits.admit)
        except Held as held:
            return held.hold
        except TargetBusy:  # the database's own word, whatever the limits saw
            return Hold(f"another execution acts on {execution.candidate.target}", None, wait=True, concerns="target")
        except Conflict as changed:  # a person cancelled it meanwhile: the next look shows it
            return Hold(str(changed), None, wait=True)
        return None

    def _begin(self, execution: Execution, episode: int) -> dict[str, Any]:
        reason, data = f"running {execution.candidate.title!r}", {"execution": execution.id}
        if self._incidents.advance(execution.incident, episode, _S.MITIGATING, reason, data):
            return {"started": True}
        self._closing.close(execution.id, _E.CANCELLED, self._record("start", "failed", TAKEN), "declined")
        return {"started": False, "ending": "person", "reason": TAKEN}

    def refusal(self, execution: Execution) -> str | None:
        """Why it may not start now; asked again right before the act of one that was started already."""
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

    def _held(self, execution: Execution, hold: Hold | None) -> dict[str, Any]:
        """A limit did not let it start: nothing was done. What holds the whole service is for a person, at once."""
        if hold is None:
            return self._ended(execution)
        ending = "person" if hold.concerns == "service" else "next"
        waited = ", for longer than it is waited for" if hold.wait and hold.until is None else ""
        return self._not_started(execution, "start", f"held: {hold.reason}{waited}; nothing was done", ending)

    def _not_started(self, execution: Execution, step: str, detail: str, ending: str = "next") -> dict[str, Any]:
        record = self._record(step, "failed", detail).model_copy(update={"data": {"ending": ending}})
        return self._ended(self._closing.close(execution.id, _E.FAILED, record, "failed"))

    def _ended(self, execution: Execution) -> dict[str, Any]:
        """Cancelled meanwhile; or failed here, perhaps before a crash that came before that was recorded."""
        last = execution.steps[-1]
        if execution.state is _E.CANCELLED:
            return {"started": False, "ending": "person", "reason": last.detail}
        reason = f"{execution.candidate.title!r} failed: {last.detail}"
        return {"started": False, "ending": last.data.get("ending", "next"), "reason": reason}

    def _record(self, name: str, state: Literal["started", "done", "failed", "uncertain"], detail: str) -> StepRecord:
        return StepRecord(name=name, state=state, at=self._clock(), detail=detail)
