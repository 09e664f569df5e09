"""The steps in which people are asked: wait for their word, remind them, and end what they did not let run.

Each may run again after a crash, so each is idempotent; each returns JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from models.domain.base import Clock
from models.domain.execution import Execution, ExecutionState, StepRecord
from service.guard.approvals import Approvals
from service.guard.shadows import Shadows
from service.guard_settings import ApprovalSettings
from service.remediation import words
from service.remediation.closing import TAKEN, Closing
from service.remediation.tickets import TicketOutbox
from service.store.executions import Executions
from service.store.incidents import Incidents

_E = ExecutionState

_LOOK_SECONDS = 0.5


class Approving:
    """How an execution that needs approval gets it, or does not."""

    def __init__(
        self,
        settings: ApprovalSettings,
        approvals: Approvals,
        shadows: Shadows,
        outbox: TicketOutbox,
        closing: Closing,
        incidents: Incidents,
        executions: Executions,
        clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        """`pause` waits for so many seconds, or ends the step where the worker stops."""
        self._settings = settings
        self._approvals = approvals
        self._shadows = shadows
        self._outbox = outbox
        self._closing = closing
        self._incidents = incidents
        self._executions = executions
        self._clock = clock
        self._pause = pause

    def await_word(self, execution_id: str, episode: int) -> str:
        """Wait for the word: `approved`, `rejected`, `expired`, `cancelled`, or `taken` with the incident."""
        told: set[str] = set()
        while True:
            execution = self._executions.get(execution_id)
            standing = self._approvals.standing(execution)
            left = standing.expires_in.total_seconds()
            if execution.state is _E.CANCELLED:
                return "cancelled"
            if not self._incidents.is_worked_on(execution.incident, episode):
                return "taken"
            if standing.rejected_by:
                self._shadows.word(execution, episode, agreed=False, by=standing.rejected_by)
                return "rejected"
            if standing.enough(execution.decision.approvals_needed):
                self._shadows.word(execution, episode, agreed=True, by=standing.approved_by)
                return "approved"
            if left <= 0:
                return "expired"
            self._remind(execution, self._clock() + standing.expires_in, told)
            self._pause(min(_LOOK_SECONDS, left))

    def decline(self, execution_id: str, word: str) -> str:
        """End an execution that people did not let run."""
        execution = self._executions.get(execution_id)
        people = ", ".join(self._approvals.standing(execution).rejected_by)
        spoke = ", ".join(word.by for word in self._executions.approvals(execution_id) if word.approved)
        reason = {
            "rejected": f"{people} rejected {execution.candidate.title!r}",
            "expired": _too_late(execution, spoke),
            "cancelled": f"{execution.candidate.title!r} was cancelled",
            "taken": TAKEN,
        }[word]
        record = StepRecord(name="approval", state="failed", at=self._clock(), detail=reason)
        self._closing.close(execution_id, _E.CANCELLED, record, "declined")
        return reason

    def _remind(self, execution: Execution, expires: datetime, told: set[str]) -> None:
        """Say that people are waited for, once after each of the two times. `told` spares the database."""
        waited = self._clock() - execution.created_at
        for kind, after in (("reminder", self._settings.remind_after), ("escalation", self._settings.escalate_after)):
            if kind in told or waited < after or execution.created_at + after >= expires:
                continue
            text = words.reminder(execution, expires, escalated=kind == "escalation")
            key = f"{kind}-{execution.id}"
            self._incidents.record(execution.incident, kind, text, {"execution": execution.id}, key=key)
            self._outbox.comment(execution.incident, key, text)
            told.add(kind)


def _too_late(execution: Execution, spoke: str) -> str:
    title = execution.candidate.title
    if not spoke:
        return f"nobody decided on {title!r} in time"
    return f"the time to decide on {title!r} ended; the yes of {spoke} was not enough, or does not hold any more"
