"""Ticket updates: a durable outbox. Ordered per incident, idempotent, retried, never in remediation's way.

Each is a side effect as any other: the guard is asked right before it is delivered.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from models.domain.base import Severity
from models.domain.incident import Incident
from service.ports import TicketDraft, Ticketing, TicketingError
from service.remediation.durable import WorkflowClient
from service.remediation.interruption import Interruption
from service.store.incidents import Incidents

if TYPE_CHECKING:
    from dbos import DBOS

_log = logging.getLogger(__name__)

_QUEUE = "tickets"
_WORKFLOW = "deliver-ticket-update"
_POLL_SECONDS = 0.25
# Seconds between tries: the last one is about a quarter of an hour after the first.
_PAUSES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 256)
_NOT_SENT = "not_sent"
"""In the data of a timeline's entry: the kind of the update that policy forbade."""


class MessageGuard(Protocol):
    """The guard, as far as it is asked here."""

    def message_refusal(self, name: str, incident: Incident) -> str | None:
        """Why the message of that name about the incident may not be sent."""


class TicketOutbox:
    """Updates are enqueued in a step's blink and delivered by a queue that runs one at a time per incident."""

    def __init__(
        self,
        dbos: type[DBOS],
        client: WorkflowClient,
        ticketing: Ticketing,
        incidents: Incidents,
        interruption: Interruption,
        guard: MessageGuard,
    ) -> None:
        self._guard = guard
        self._dbos = dbos
        self._client = client
        self._ticketing = ticketing
        self._incidents = incidents
        self._interruption = interruption

        @dbos.workflow(name=_WORKFLOW)
        def deliver(incident: str, kind: str, key: str, body: dict[str, Any]) -> None:
            with interruption.working():
                interruption.check()
                dbos.run_step({"name": f"ticket-{kind}"}, self._deliver, incident, kind, key, body)

    def open(self, incident: Incident, body: str) -> None:
        """Open the incident's ticket."""
        title = _storable(incident.title)
        draft = {"title": title, "body": _storable(body), "severity": incident.severity, "labels": incident.labels}
        self._enqueue(incident.id, "open", f"{incident.id}-open", draft)

    def comment(self, incident: str, key: str, text: str) -> None:
        """Add a comment; a second one of the same key is the same comment."""
        self._enqueue(incident, "comment", f"{incident}-{key}", {"text": _storable(text)})

    def close(self, incident: str, key: str, resolution: str) -> None:
        """Close the ticket with the outcome in words."""
        self._enqueue(incident, "close", f"{incident}-{key}", {"text": _storable(resolution)})

    def register(self) -> None:
        """Make the queue known; after DBOS was launched."""
        self._dbos.register_queue(_QUEUE, partition_concurrency=1, polling_interval_sec=_POLL_SECONDS)

    def move_on(self, working: set[str]) -> None:
        """Deliver what was being delivered by replicas of other versions that are not among the working ones."""
        self._client.move_on(_QUEUE, working)

    def _enqueue(self, incident: str, kind: str, key: str, body: dict[str, Any]) -> None:
        place = self._incidents.next_ticket_update(incident)
        self._client.enqueue(_QUEUE, _WORKFLOW, f"ticket-{key}", incident, place, incident, kind, key, body)

    def _deliver(self, incident: str, kind: str, key: str, body: dict[str, Any]) -> None:
        trouble = ""
        for pause in (*_PAUSES, 0):
            try:
                if not self._is_forbidden(incident, kind, key):
                    self._update(incident, kind, key, body)
                return
            except TicketingError as error:
                trouble = str(error)
                if not error.retriable:
                    break
                _log.warning("ticket update %s: %s; it is tried again", key, error)
                self._interruption.pause(pause)
        # The incident says what its ticket is missing, and goes on.
        _log.error("ticket update %s is given up: %s", key, trouble)
        words = f"the ticket could not be updated ({kind}): {trouble}"
        self._incidents.record(incident, "ticket", words, key=f"{key}-lost")

    def _is_forbidden(self, identifier: str, kind: str, key: str) -> bool:
        """Whether policy forbids the update; the incident's timeline tells it once, and nothing is tried again."""
        incident = self._incidents.get(identifier)
        if kind != "open" and any(entry.data.get(_NOT_SENT) == "open" for entry in incident.timeline):
            # There is no ticket, and the timeline says why.
            return self._incidents.ticket(identifier) is None
        refusal = self._guard.message_refusal(f"ticket-{kind}", incident)
        if refusal is None:
            return False
        words = f"not sent (ticket {kind}): {refusal}"
        self._incidents.record(identifier, "ticket", words, {_NOT_SENT: kind}, key=f"{key}-forbidden")
        return True

    def _update(self, incident: str, kind: str, key: str, body: dict[str, Any]) -> None:
        if kind == "open":
            draft = TicketDraft(incident, body["title"], body["body"], Severity(body["severity"]), body["labels"])
            self._incidents.set_ticket(incident, self._ticketing.open(draft, key))
            return
        reference = self._incidents.ticket(incident)
        if reference is None:
            raise TicketingError(f"{incident} has no ticket", retriable=False)
        if kind == "comment":
            self._ticketing.comment(reference, body["text"], key)
        else:
            self._ticketing.close(reference, body["text"], key)


def _storable(text: str) -> str:
    # Alerts may bring NUL; hardly any ticket system takes it.
    return text.replace("\x00", "\ufffd")
