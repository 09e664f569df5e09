"""What the service's REST API says of one fault: its incident, executions, ticket, as an operator would ask."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from evals.sandbox.service import RunningService
from models.domain.errors import NotFound
from models.domain.execution import Execution
from models.domain.incident import ACTIVE_STATUSES, Incident
from models.domain.recommendation import Recommendation


class Client:
    """Asks a running service."""

    def __init__(self, service: RunningService) -> None:
        self._service = service

    def incident_of(self, affected: str, since: datetime) -> Incident | None:
        """The incident that names a service and to which something happened since."""
        for listed in self._listed():
            if affected in listed.services and listed.updated_at >= since:
                incident = self.incident(listed.id)
                if incident.status in ACTIVE_STATUSES or (incident.ended_at or since) > since:
                    return incident
        return None

    def active(self) -> list[Incident]:
        """Those that have not ended, as listed."""
        return [one for one in self._listed() if one.status in ACTIVE_STATUSES]

    def _listed(self) -> list[Incident]:
        return [
            Incident.model_validate(item) for item in self._service.get("/v1/incidents", environment="sandbox")["items"]
        ]

    def incident(self, identifier: str) -> Incident:
        """One incident, with its timeline."""
        return Incident.model_validate(self._service.get(f"/v1/incidents/{identifier}"))

    def recommendation(self, incident: str, since: datetime) -> Recommendation | None:
        """The newest one that was made since."""
        try:
            made = Recommendation.model_validate(self._service.get(f"/v1/incidents/{incident}/recommendation"))
        except NotFound:
            return None
        return made if made.created_at >= since else None

    def executions(self, incident: str, since: datetime) -> list[Execution]:
        """Those that were created since, oldest first."""
        items = self._service.get("/v1/executions", incident=incident)["items"]
        known = [Execution.model_validate(item) for item in items]
        return sorted((one for one in known if one.created_at >= since), key=lambda one: one.created_at)

    def ticket(self, incident: str) -> dict[str, Any] | None:
        """The incident's ticket with its comments: a reopened incident keeps its own."""
        for listed in self._service.get("/v1/tickets", incident=incident)["items"]:
            ticket: dict[str, Any] = self._service.get(f"/v1/tickets/{listed['reference']}")
            return ticket
        return None

    def approve(self, execution: str, approved: bool) -> None:
        """A person's word."""
        self._service.post(f"/v1/executions/{execution}/approval", {"approved": approved, "comment": "suture demo"})

    def alert(self, name: str, labels: dict[str, str]) -> None:
        """What the monitoring sends when a rule holds."""
        signal = {"kind": "alert", "name": name, "labels": labels, "severity": "warning"}
        self._service.post("/v1/signals", {"signals": [signal]})

    def resolve(self, incident: str, reason: str) -> None:
        """A person did what had to be done."""
        self._service.post(f"/v1/incidents/{incident}/resolve", {"reason": reason})
