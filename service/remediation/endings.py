"""How an incident leaves Suture's hands, how its ticket hears of it, and what is written down for the next one."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain.execution import Execution, ExecutionState
from models.domain.incident import Incident, IncidentStatus
from service.pipeline import Pipeline
from service.remediation import words
from service.remediation.closing import Closing
from service.remediation.durable import workflow_of
from service.remediation.tickets import TicketOutbox
from service.reporting.events import episodes_of
from service.reporting.record import collect
from service.store.executions import Executions
from service.store.incidents import Incidents
from service.store.recommendations import Recommendations

_S = IncidentStatus


class Endings:
    """The last steps of the workflow, and what is owed to tickets whoever ended their incident."""

    def __init__(
        self,
        pipeline: Pipeline,
        closing: Closing,
        outbox: TicketOutbox,
        incidents: Incidents,
        executions: Executions,
        recommendations: Recommendations,
    ) -> None:
        self._pipeline = pipeline
        self._closing = closing
        self._outbox = outbox
        self._incidents = incidents
        self._executions = executions
        self._recommendations = recommendations

    def learn(self, incident_id: str, episode: int) -> None:
        """Resolve the incident, unless a person has it by now, and write the postmortem draft into the corpus."""
        own = f"EXE-{incident_id.removeprefix('INC-')}-{episode}-"
        executions = [execution for _, execution in self._executions.page(incident=incident_id, limit=100)]
        verified = [one.id for one in executions if one.state is ExecutionState.SUCCEEDED and one.id.startswith(own)]
        if not verified:
            reason = "the last execution was ended otherwise before its verification was recorded: look at it"
            self.hand_over(incident_id, episode, reason)
            return
        reason = "verified healthy after the remediation"
        self._incidents.advance(incident_id, episode, _S.RESOLVED, reason, {"execution": verified[0]})
        self._write_draft(incident_id, episode)

    def hand_over(self, incident_id: str, episode: int, reason: str) -> None:
        """Give the incident to a person, unless one has it by now."""
        self._incidents.advance(incident_id, episode, _S.ESCALATED, reason)

    def look_again(self) -> None:
        """Reopen what was handed over with nothing to recommend, where a later signal matches another runbook."""
        for incident in self._incidents.unmatched():
            new = set(self._pipeline.triggered(incident)) - set(incident.abstained_with or ())
            if new:
                reason = f"a later signal matches {', '.join(sorted(new))}: Suture looks again"
                self._incidents.begin_episode(incident.id, incident.episode + 1, reason)

    def abandon(self, incident_id: str, episode: int, reason: str) -> None:
        """Give the incident to a person because its remediation broke; what it had begun is uncertain."""
        self._closing.abandon(workflow_of(incident_id, episode), reason)
        self._incidents.advance(incident_id, episode, _S.ESCALATED, f"Suture could not go on: {reason}")

    def workflows_unended(self) -> set[str]:
        """The workflows of executions that have not ended."""
        return {workflow for _, workflow in self._executions.unended()}

    def abandon_executions(self, workflow: str, reason: str) -> None:
        """End what a workflow left that went away before it; its incident ended, or is a person's already."""
        self._closing.abandon(workflow, reason)

    def tell_tickets(self) -> None:
        """Put what tickets are owed on the outbox, and draft the postmortem of what a person ended.

        A crash before it is noted does the same again, which does no harm.
        """
        for incident_id, owed in self._incidents.tickets_owed():
            incident = self._incidents.get(incident_id)
            executions = [execution for _, execution in self._executions.page(incident=incident_id, limit=100)]
            key, text = owed.replace(" ", "-"), words.ending(incident, executions)
            if regrouped := words.regrouped(incident, owed):
                if self._incidents.has_ticket_updates(incident_id):
                    self._outbox.comment(incident_id, key, regrouped)
                self._incidents.ticket_told(incident_id, owed)
                continue
            if incident.status is _S.ESCALATED:
                self._outbox.open(incident, words.opening(incident))
                self._outbox.comment(incident_id, key, text)
            elif incident.status in (_S.RESOLVED, _S.CLOSED) and self._incidents.has_ticket_updates(incident_id):
                self._outbox.close(incident_id, key, text)
            if _ended_by_a_person(incident) and (incident.status is _S.RESOLVED or _tried(incident, executions)):
                self._write_draft(incident_id, incident.episode)
            self._incidents.ticket_told(incident_id, owed)

    def _write_draft(self, incident_id: str, episode: int) -> None:
        record = collect(incident_id, self._incidents, self._executions, self._recommendations)
        document = self._pipeline.learn(record)
        text, key = f"postmortem draft {document} written", f"learned-{episode}"
        self._incidents.record(incident_id, "learned", text, {"document": document}, key=key)


def _ended_by_a_person(incident: Incident) -> bool:
    last = next((entry for entry in reversed(incident.timeline) if entry.kind == incident.status), None)
    return incident.status in (_S.RESOLVED, _S.CLOSED) and last is not None and "by" in last.data


def _tried(incident: Incident, executions: Sequence[Execution]) -> bool:
    """Whether anything ran in the present episode: what failed is worth knowing, a false alarm is not."""
    began = episodes_of(incident.timeline)[-1][0].at
    return any(one.begun and one.started_at is not None and one.started_at >= began for one in executions)
