"""Signals that Suture repeats itself: their incidents may have ended meanwhile, and repeating would open them again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from models.domain.incident import Incident
from service.store.incidents import Incidents


def ended_incidents(
    incidents: Incidents, connection: Connection, fingerprints: Collection[str], since: datetime
) -> dict[str, Incident]:
    """By fingerprint, the incident that ended last since then, where no active one has it."""
    wanted = set(fingerprints)
    if not wanted:
        return {}
    active = {signal.fingerprint for one in incidents.active(connection) for signal in one.signals}
    found: dict[str, Incident] = {}
    for incident in incidents.ended_since(connection, since):
        for fingerprint in {signal.fingerprint for signal in incident.signals} & (wanted - active):
            held = found.get(fingerprint)
            if held is None or _ended(incident) > _ended(held):
                found[fingerprint] = incident
    return found


def _ended(incident: Incident) -> datetime:
    return incident.ended_at or incident.updated_at
