"""Events such as deployments, put on the incidents that they came shortly before: evidence for people, no verdict."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from models.domain.incident import Incident
from models.domain.topology import Topology
from service.remediation.words import lasting
from service.store.changes import ChangeEvent, Changes
from service.store.database import CORRELATE, Database
from service.store.incidents import Incidents

BEFORE = timedelta(hours=1)
"""How long before an incident a change is told of: on-call engineers look at the last deployment first."""
AT_MOST = 20
"""Changes that are noted at a time, the newest ones; the others are counted."""


class ChangeNotes:
    """Writes events into timelines, each once."""

    def __init__(self, database: Database, changes: Changes, incidents: Incidents, topology: Topology) -> None:
        self._database = database
        self._changes = changes
        self._incidents = incidents
        self._topology = topology

    def add(self, event: ChangeEvent) -> ChangeEvent:
        """Store an event, and note it on the active incidents that it may have to do with."""
        with self._database.write() as connection:
            # An incident that is being opened now finds the event, or is found here.
            self._database.lock(connection, CORRELATE)
            stored = self._changes.add(connection, event)
            for incident in self._incidents.active(connection):
                self.note(connection, incident)
        return stored

    def note(self, connection: Connection, incident: Incident) -> None:
        """Note what changed shortly before the incident or since, on its services and what they depend on."""
        services = set(incident.services).union(*map(self._topology.all_dependencies, incident.services))
        found = self._changes.since(connection, incident.started_at - BEFORE, services, incident.environment)
        for event in reversed(found[:AT_MOST]):
            data = {"event": event.id, "at": event.at.isoformat(), "by": event.by}
            text = _words(event, incident)
            self._incidents.note(connection, incident.id, "changed", text, data, key=f"changed {event.id}")
        if len(found) > AT_MOST:
            text = f"{len(found) - AT_MOST} earlier changes within {lasting(BEFORE)}"
            self._incidents.note(connection, incident.id, "changed", text, {}, key="changed further")


def _words(event: ChangeEvent, incident: Incident) -> str:
    of = f" of {event.service}" if event.service else ""
    gap = incident.started_at - event.at
    when = f"{lasting(gap)} before it began" if gap >= timedelta(0) else f"{lasting(-gap)} after it began"
    return f"{event.kind}{of}, {when}: {event.text}"
