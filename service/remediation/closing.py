"""How an execution ends: its final state, what it taught, and the words in the incident's timeline and ticket."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from models.domain.base import Clock
from models.domain.errors import Conflict
from models.domain.execution import FINAL_STATES, Execution, ExecutionState, Outcome, StepRecord, Verification
from service.guard.autonomy import CHANGED, Levels, withdrawal
from service.remediation import words
from service.remediation.tickets import TicketOutbox
from service.store.executions import Executions
from service.store.incidents import Incidents

TAKEN = "a person has the incident now, or it is over"


class Closing:
    """Ends executions. Everything here may run again after a crash and does no harm."""

    def __init__(
        self, executions: Executions, incidents: Incidents, outbox: TicketOutbox, levels: Levels, clock: Clock
    ) -> None:
        self._executions = executions
        self._incidents = incidents
        self._outbox = outbox
        self._levels = levels
        self._clock = clock

    def close(
        self,
        identifier: str,
        to: ExecutionState,
        step: StepRecord,
        kind: str,
        verification: Verification | None = None,
    ) -> Execution:
        """End an execution and tell of it with the step's detail. One that ended otherwise meanwhile stays as it is."""
        changes: dict[str, Any] = {"verification": verification} if verification else {}
        try:
            execution = self._executions.transition(identifier, to, step, then=self._learn, **changes)
        except Conflict:
            ended = self._executions.get(identifier)
            if ended.state not in FINAL_STATES:
                raise
            return ended
        self._tell(execution, kind, step.detail)
        return execution

    def abandon(self, workflow: str, reason: str) -> None:
        """End every execution of a workflow that goes on no longer: what was begun may have had its effect.

        Those of another episode of the incident are another workflow's, and may act right now.
        """
        for identifier, _ in self._executions.unended(workflow):
            if self._executions.get(identifier).begun:
                detail = f"{reason}; it had begun to act, and nobody looked whether that helped"
                step = StepRecord(name="abandoned", state="uncertain", at=self._clock(), detail=detail)
                self.close(identifier, ExecutionState.UNCERTAIN, step, "uncertain")
            else:
                detail = f"{reason}; nothing was done"
                step = StepRecord(name="abandoned", state="failed", at=self._clock(), detail=detail)
                self.close(identifier, ExecutionState.CANCELLED, step, "declined")

    def _tell(self, execution: Execution, kind: str, text: str) -> None:
        key = f"{kind}-{execution.id}"
        self._incidents.record(execution.incident, kind, text, {"execution": execution.id}, key=key)
        self._outbox.comment(execution.incident, key, words.log(execution) + self._change_of_level(execution))

    def _change_of_level(self, execution: Execution) -> str:
        timeline = self._incidents.get(execution.incident).timeline
        told = [e.text for e in timeline if e.kind == CHANGED and e.data.get("execution") == execution.id]
        return "".join(f"\n\n**Autonomy.** {text}" for text in told)

    def _learn(self, connection: Connection, execution: Execution) -> None:
        """In the transaction of the ending: a crash loses neither what was learned nor what follows from it."""
        # What a person stopped, or what was stopped before its act, says nothing of the action.
        stopped = execution.cancel is not None and execution.state is not ExecutionState.SUCCEEDED
        if not execution.begun or execution.state is ExecutionState.CANCELLED or stopped:
            return
        candidate = execution.candidate
        outcome = Outcome(
            execution=execution.id,
            incident=execution.incident,
            runbook=candidate.runbook,
            action=candidate.action,
            uses=candidate.uses,
            environment=candidate.environment,
            state=execution.state,
            verified=execution.state is ExecutionState.SUCCEEDED,
            at=self._clock(),
        )
        self._levels.learn(connection, outcome, withdrawal(execution))
