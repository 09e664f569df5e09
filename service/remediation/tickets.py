"""Ticket updates: a durable outbox. Ordered per incident, idempotent, retried, never in remediation's way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from models.domain.base import Severity
from models.domain.incident import Incident
from service.ports import TicketDraft, Ticketing, TicketingError
from service.remediation.durable import WorkflowClient
from service.store.incidents import Incidents

if TYPE_CHECKING:
    from dbos import DBOS, StepOptions

_log = logging.getLogger(__name__)

_QUEUE = "tickets"
_WORKFLOW = "deliver-ticket-update"
_POLL_SECONDS = 0.25
# With a doubling wait from one second: the last try is about a quarter of an hour after the first.
_ATTEMPTS = 10


class TicketOutbox:
    """Updates are enqueued in a step's blink and delivered by a queue that runs one at a time per incident."""

    def __init__(self, dbos: type[DBOS], client: WorkflowClient, ticketing: Ticketing, incidents: Incidents) -> None:
        self._dbos = dbos
        self._client = client
        self._ticketing = ticketing
        self._incidents = incidents

        @dbos.workflow(name=_WORKFLOW)
        def deliver(incident: str, kind: str, key: str, body: dict[str, Any]) -> None:
            self._deliver(incident, kind, key, body)

    def open(self, incident: Incident, body: str) -> None:
        """Open the incident's ticket."""
        draft = {"title": incident.title, "body": body, "severity": incident.severity, "labels": incident.labels}
        self._enqueue(incident.id, "open", f"{incident.id}-open", draft)

    def comment(self, incident: str, key: str, text: str) -> None:
        """Add a comment; a second one of the same key is the same comment."""
        self._enqueue(incident, "comment", f"{incident}-{key}", {"text": text})

    def close(self, incident: str, key: str, resolution: str) -> None:
        """Close the ticket with the outcome in words."""
        self._enqueue(incident, "close", f"{incident}-{key}", {"text": resolution})

    def register(self) -> None:
        """Make the queue known; after DBOS was launched."""
        self._dbos.register_queue(_QUEUE, partition_concurrency=1, polling_interval_sec=_POLL_SECONDS)

    def _enqueue(self, incident: str, kind: str, key: str, body: dict[str, Any]) -> None:
        place = self._incidents.next_ticket_update(incident)
        self._client.enqueue(_QUEUE, _WORKFLOW, f"ticket-{key}", incident, place, incident, kind, key, body)

    def _deliver(self, incident: str, kind: str, key: str, body: dict[str, Any]) -> None:
        from dbos import error as dbos_error

        options: StepOptions = {"name": f"ticket-{kind}", "retries_allowed": True, "max_attempts": _ATTEMPTS}
        try:
            refusal = self._dbos.run_step(options, self._send, incident, kind, key, body)
        except dbos_error.DBOSMaxStepRetriesExceeded as error:
            refusal = f"given up after {_ATTEMPTS} attempts: {error}"
        if refusal is not None:
            # The incident says what its ticket is missing, and goes on.
            _log.error("ticket update %s: %s", key, refusal)
            words = f"the ticket could not be updated ({kind}): {refusal}"
            self._incidents.record(incident, "ticket", words, key=f"{key}-lost")

    def _send(self, incident: str, kind: str, key: str, body: dict[str, Any]) -> str | None:
        """None when delivered, else why it never will be. Raises _TryAgain."""
        try:
            return self._update(incident, kind, key, body)
        except TicketingError as error:
            if error.retriable:
                raise _TryAgain(str(error)) from error
            return str(error)

    def _update(self, incident: str, kind: str, key: str, body: dict[str, Any]) -> str | None:
        if kind == "open":
            draft = TicketDraft(incident, body["title"], body["body"], Severity(body["severity"]), body["labels"])
            self._incidents.set_ticket(incident, self._ticketing.open(draft, key))
            return None
        reference = self._incidents.ticket(incident)
        if reference is None:
            return f"{incident} has no ticket"
        if kind == "comment":
            self._ticketing.comment(reference, body["text"], key)
        else:
            self._ticketing.close(reference, body["text"], key)
        return None


class _TryAgain(Exception):
    """What a step raises to be retried: DBOS stores it, so it is plain."""
