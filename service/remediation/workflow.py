"""The durable workflow that carries one incident from open to resolved, or into a person's hands.

It reads as the flow: investigate, then for each candidate in order: decide, approve, check, act, verify, roll back.
Every line that touches the world is a step (steps.py), recorded once and never repeated after a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from service.remediation.durable import APPROVAL, WorkflowClient
from service.remediation.replica import Replica
from service.remediation.steps import Steps
from service.remediation.tickets import TicketOutbox
from service.settings import Settings
from service.store.incidents import Incidents

if TYPE_CHECKING:
    from dbos import DBOS

# A person's word wakes the workflow at once; it looks by itself this often in case the waking was lost.
_LOOK_AGAIN_SECONDS = 15.0
_BUSY_SECONDS = 5.0
_BUSY_TRIES = 24

Ending = Literal["resolved", "next", "person"]


class Remediation:
    """Starts workflows, wakes them, and holds their code."""

    def __init__(
        self,
        dbos: type[DBOS],
        steps: Steps,
        outbox: TicketOutbox,
        incidents: Incidents,
        settings: Settings,
        client: WorkflowClient,
        replica: Replica,
    ) -> None:
        self._dbos = dbos
        self._steps = steps
        self._outbox = outbox
        self._incidents = incidents
        self._settings = settings
        self._client = client
        self._replica = replica

        @dbos.workflow(name="remediate")
        def remediate(incident: str, episode: int) -> str:
            return self._remediate(incident, episode)

        self._workflow = remediate

    def claim(self) -> None:
        """Make sure that no other worker has this replica's workflows. Raises Conflict."""
        self._replica.claim()

    def launch(self) -> None:
        """Begin to work: unfinished workflows of this replica continue. Raises Conflict as `claim` does."""
        self.claim()
        self._dbos.launch()
        self._outbox.register()

    def stop(self) -> None:
        """Stop working; what is in progress continues at the next launch."""
        self._client.close()
        self._dbos.destroy(destroy_registry=True)
        self._replica.release()

    def start(self, incident: str) -> None:
        """Start the workflow of an incident's present episode; a second start of the same one does nothing."""
        from dbos import SetWorkflowID

        episode = self._incidents.get(incident).episode
        with SetWorkflowID(f"remediate-{incident}-{episode}"):
            self._dbos.start_workflow(self._workflow, incident, episode)

    def cancel(self, execution: str, by: str) -> None:
        """Cancel an execution that waits. Raises NotFound, or Conflict where it acts already."""
        workflow = self._steps.cancel(execution, by)
        self._client.wake(workflow)

    def _step(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._dbos.run_step({"name": name}, function, *arguments)

    def _remediate(self, incident: str, episode: int) -> str:
        plan = self._step("investigate", self._steps.investigate, incident, episode)
        reason = str(plan["reason"])
        for attempt, index in enumerate(plan["order"], 1):
            if attempt > self._settings.max_attempts:
                reason = f"{self._settings.max_attempts} candidates were tried, the most that are allowed"
                break
            ending, reason = self._try(incident, plan["recommendation"], index, attempt)
            if ending == "resolved":
                self._step("learn", self._steps.learn, incident, episode)
                return "resolved"
            if ending == "person":
                break
        self._step("hand-over", self._steps.hand_over, incident, episode, reason)
        return "escalated"

    def _try(self, incident: str, recommendation: str, index: int, attempt: int) -> tuple[Ending, str]:
        """Carry one candidate through; says how it ended and why."""
        name = f"{attempt}"
        workflow = self._dbos.workflow_id
        decided = self._step(f"decide-{name}", self._steps.decide, incident, recommendation, index, attempt, workflow)
        if decided["verdict"] == "forbid":
            return "next", decided["reason"]
        execution = decided["execution"]
        if decided["verdict"] == "needs_approval":
            word = self._await_approval(execution)
            if word != "approved":
                reason = self._step(f"declined-{name}", self._steps.decline, execution, word)
                return ("next" if word == "rejected" else "person"), reason
        started = self._start(execution, name)
        if started is not None:
            return "next", started
        return self._act(execution, name)

    def _await_approval(self, execution: str) -> str:
        while True:
            found = self._step("look-for-approval", self._steps.approval, execution)
            if found["word"] != "waiting":
                return str(found["word"])
            self._dbos.recv(APPROVAL, timeout_seconds=min(_LOOK_AGAIN_SECONDS, found["seconds_left"]))

    def _start(self, execution: str, name: str) -> str | None:
        """None once it may act; else why it may not."""
        for _ in range(_BUSY_TRIES):
            answer = self._step(f"start-{name}", self._steps.start, execution)
            if not answer["busy"]:
                return answer["refused"]  # type: ignore[no-any-return]
            self._dbos.sleep(_BUSY_SECONDS)
        return str(self._step(f"still-busy-{name}", self._steps.give_up_waiting, execution))

    def _act(self, execution: str, name: str) -> tuple[Ending, str]:
        acted = self._step(f"act-{name}", self._steps.act, execution)
        if acted["result"] == "uncertain":
            return "person", self._step(f"uncertain-{name}", self._steps.uncertain, execution, acted["detail"])
        if acted["result"] == "failed":
            return "next", self._step(f"failed-{name}", self._steps.failed, execution, acted["detail"])
        verified = self._step(f"verify-{name}", self._steps.verify, execution)
        if verified["health"] == "healthy":
            return "resolved", self._step(f"succeeded-{name}", self._steps.succeeded, execution, verified)
        back = self._step(f"roll-back-{name}", self._steps.roll_back, execution, verified)
        return ("person" if back["uncertain"] else "next"), back["detail"]
