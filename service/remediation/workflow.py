"""The durable workflow that carries one incident from open to resolved, or into a person's hands.

It reads as the flow: investigate, then for each candidate in order: decide, approve, check, try out, act, verify, roll
back. Every line that touches the world is a step (deciding.py, approving.py, starting.py, executing.py, endings.py),
recorded once and never repeated after a crash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from models.domain.incident import WORKING_STATUSES, IncidentStatus
from service.remediation.approving import Approving
from service.remediation.deciding import Deciding
from service.remediation.durable import WorkflowClient, continue_workflows, workflow_of
from service.remediation.endings import Endings
from service.remediation.executing import Executing
from service.remediation.interruption import Interruption
from service.remediation.replica import Replica
from service.remediation.starting import Starting
from service.remediation.tickets import TicketOutbox
from service.settings import Settings
from service.store.incidents import Incidents
from service.store.replicas import Replicas

if TYPE_CHECKING:
    from dbos import DBOS

_log = logging.getLogger(__name__)

# An act in progress has this long to end before its worker does; the next launch asks the target what became of it.
_STOP_SECONDS = 10.0
# The database may be away for a while: the pauses between attempts at a step, a quarter of an hour in all.
_PAUSES = (1.0, 2.0, 5.0, 10.0, *[30.0] * 29)

Ending = Literal["resolved", "forbidden", "next", "person"]


@dataclass(frozen=True)
class Steps:
    """All steps, by the part of the flow that they are of."""

    deciding: Deciding
    approving: Approving
    starting: Starting
    executing: Executing
    endings: Endings


class Remediation:
    """Starts workflows, ends them where they cannot go on, and holds their code."""

    def __init__(
        self,
        dbos: type[DBOS],
        steps: Steps,
        outbox: TicketOutbox,
        incidents: Incidents,
        settings: Settings,
        client: WorkflowClient,
        replica: Replica,
        replicas: Replicas,
        interruption: Interruption,
    ) -> None:
        self._dbos = dbos
        self.steps = steps
        self._outbox = outbox
        self._incidents = incidents
        self._settings = settings
        self._client = client
        self.replica = replica
        self._replicas = replicas
        self._interruption = interruption

        @dbos.workflow(name="remediate")
        def remediate(incident: str, episode: int) -> str:
            with interruption.working():
                return self._remediate(incident, episode)

        self._workflow = remediate

    def claim(self) -> None:
        """Make sure that no other worker has this replica's folder. Raises Conflict."""
        self.replica.claim()

    def launch(self) -> None:
        """Begin to work; what this folder's former replica left unfinished continues. Raises Conflict as `claim`."""
        self.claim()
        self.replica.begin(self._client.version)
        self._dbos.launch()
        self._outbox.register()
        self.continue_orphans()

    def stop(self) -> None:
        """Stop working; what is in progress continues at the next launch, or on another replica."""
        finished = self._interruption.stop(_STOP_SECONDS)
        if not finished:
            _log.warning("stopped during an act; whoever continues asks its target what became of it")
        self._client.close()
        # A queue's thread may still take up a workflow: it is lost to this process alone, and no news to anybody.
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        self._dbos.destroy(destroy_registry=True)
        self.replica.end(finished=finished)

    def take_over(self) -> None:
        """Continue the workflows of replicas that are dead."""
        if self.replica.take_over():
            self.continue_orphans()

    def continue_orphans(self) -> None:
        """Have everything continued whose replica is dead: also what it began when it had not noticed that yet."""
        runners = self._client.runners()
        # In this order: one that starts in between is working before it runs anything.
        working = self._replicas.working()
        if orphaned := runners - working:
            continue_workflows(self._dbos, orphaned)
        self._outbox.move_on(working)

    def start_open(self) -> None:
        """Start the workflow of each open incident's present episode; a second start of the same one does nothing."""
        from dbos import SetWorkflowID

        for incident, episode in self._incidents.episodes([IncidentStatus.OPEN]):
            with SetWorkflowID(workflow_of(incident, episode)):
                self._dbos.start_workflow(self._workflow, incident, episode)

    def look_again(self) -> None:
        """Reopen incidents that had no recommendation and now have a signal that a runbook speaks of."""
        self.steps.endings.look_again()

    def rescue(self) -> None:
        """Hand over incidents whose workflow ended without them: they would wait for ever."""
        waiting = {workflow_of(*each): each for each in self._incidents.episodes(WORKING_STATUSES)}
        versions = self._replicas.versions(self.replica.identity, self.replica.home)
        # An episode that a person took meanwhile may have left an execution that nothing ends any more.
        left = self.steps.endings.workflows_unended()
        for workflow, how in self._client.ended(sorted({*waiting, *left}), versions).items():
            reason = f"its remediation stopped ({how})"
            if workflow in waiting:
                self.steps.endings.abandon(*waiting[workflow], reason)
            else:
                self.steps.endings.abandon_executions(workflow, reason)

    def tell_endings(self) -> None:
        """Put what tickets are owed on the outbox: their incidents ended, or were handed over, whoever did it."""
        self.steps.endings.tell_tickets()

    def _step(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        self._interruption.check()
        return self._dbos.run_step({"name": name}, self._patiently, function, *arguments)

    def _patiently(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Again where the database was away: a step may run again as after a crash, so it is idempotent."""
        from sqlalchemy.exc import InterfaceError, OperationalError

        for pause in _PAUSES:
            try:
                return function(*arguments)
            except (OperationalError, InterfaceError) as error:
                _log.warning("a step of a remediation waits for the database: %s", error.orig)
                self._interruption.pause(pause)
        return function(*arguments)

    def _remediate(self, incident: str, episode: int) -> str:
        try:
            return self._carry(incident, episode)
        except Exception as error:  # noqa: BLE001  (whatever it is: nobody would work on the incident any more)
            self._interruption.check()
            _log.exception("the remediation of %s failed", incident)
            self._step("abandon", self.steps.endings.abandon, incident, episode, f"{type(error).__name__}: {error}")
            return "abandoned"

    def _carry(self, incident: str, episode: int) -> str:
        plan = self._step("investigate", self.steps.deciding.investigate, incident, episode)
        reason, tried = str(plan["reason"]), 0
        for attempt, (recommendation, place) in enumerate(self._to_try(plan, incident, episode), 1):
            ending, reason = self._try(incident, episode, recommendation, place, attempt)
            if ending == "resolved":
                self._step("learn", self.steps.endings.learn, incident, episode)
                return "resolved"
            if ending == "person":
                break
            tried += ending != "forbidden"
            if tried == self._settings.max_attempts:
                reason = f"{reason}; more attempts than {tried} are not allowed"
                break
        self._step("hand-over", self.steps.endings.hand_over, incident, episode, reason)
        return "escalated"

    def _to_try(self, plan: dict[str, Any], incident: str, episode: int) -> Iterator[tuple[str, int]]:
        """Recommendation and place of each candidate, in order.

        When all were tried, it is looked again: a failed attempt takes its time, and symptoms that came meanwhile may
        speak for something else.
        """
        known, look = list(plan["candidates"]), 1
        while plan["order"]:
            for place in plan["order"]:
                yield plan["recommendation"], place
            look += 1
            plan = self._step(f"look-{look}", self.steps.deciding.look_further, incident, episode, look, known)
            known += plan["candidates"]

    def _try(self, incident: str, episode: int, recommendation: str, index: int, attempt: int) -> tuple[Ending, str]:
        """Carry one candidate through; says how it ended and why."""
        name, workflow = f"{attempt}", workflow_of(incident, episode)
        decide = partial(self.steps.deciding.decide, workflow=workflow)
        decided = self._step(f"decide-{name}", decide, incident, episode, recommendation, index, attempt)
        execution = decided["execution"]
        if execution is None:
            return decided["ending"], decided["reason"]
        if decided["verdict"] == "needs_approval":
            word = self._step(f"approval-{name}", self.steps.approving.await_word, execution, episode)
            if word != "approved":
                reason = self._step(f"declined-{name}", self.steps.approving.decline, execution, word)
                return ("next" if word == "rejected" else "person"), reason
        started = self._step(f"start-{name}", self.steps.starting.start, execution, episode)
        if not started["started"]:
            return started["ending"], started["reason"]
        return self._act(execution, episode, name)

    def _act(self, execution: str, episode: int, name: str) -> tuple[Ending, str]:
        executing = self.steps.executing
        acted = self._step(f"dry-run-{name}", executing.rehearse, execution)
        if acted["result"] == "done":
            acted = self._step(f"act-{name}", executing.act, execution, episode)
        if acted["result"] == "failed":
            return "next", self._step(f"failed-{name}", executing.failed, execution, acted["detail"])
        if acted["result"] == "cancelled":
            return "person", self._step(f"cancelled-{name}", executing.cancelled, execution, acted["detail"])
        if acted["result"] == "uncertain":
            return "person", self._step(f"uncertain-{name}", executing.uncertain, execution, acted["detail"])
        verified = self._step(f"verify-{name}", executing.verify, execution, episode)
        if verified["verification"] and verified["verification"]["health"] == "healthy":
            return "resolved", self._step(f"succeeded-{name}", executing.succeeded, execution, verified)
        back = self._step(f"roll-back-{name}", executing.roll_back, execution, verified)
        return back["ending"], back["detail"]
