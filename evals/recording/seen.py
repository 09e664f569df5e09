"""An incident as Suture saw it when it made its recommendation, from the record of how it went on."""

from __future__ import annotations

from datetime import datetime

from models.correlation.draft import Draft
from models.domain.incident import Incident, TimelineEntry
from models.domain.signal import Signal
from models.domain.topology import Topology


def as_seen(incident: Incident, topology: Topology, until: datetime) -> Incident:
    """The incident with nothing of what came after `until`: signals, and all that follows from them.

    A stored incident keeps of each fingerprint the first signal and the latest. Its timeline names the signals that it
    was opened with, and says how many fingerprints each later arrival brought. Title, severity, services, labels and
    culprits are made anew, since a later signal may have changed them. Raises ValueError where it had no signal by
    then.
    """
    arrived = sum(_brought(entry) for entry in incident.timeline if entry.at <= until)
    draft = Draft(None, incident.environment)
    for signal in incident.signals:
        # What is of an earlier time may still have come later: a scrape takes its time.
        if signal.at <= until and (signal.fingerprint in draft.first or len(draft.first) < arrived):
            draft.put(signal)
    if not draft.first:
        raise ValueError(f"{incident.id} had no signal at {until.isoformat()}")
    return draft.build(topology, until)


def _brought(entry: TimelineEntry) -> int:
    if entry.kind == "opened":
        return len(entry.data.get("signals", ()))
    return int(entry.data.get("signals", 0)) if entry.kind == "signals" else 0


def investigated_at(incident: Incident) -> datetime:
    """When Suture took the incident as it then was, to recommend on it. Raises ValueError where it did not yet."""
    for entry in incident.timeline:
        if entry.kind == "investigating":
            return entry.at
    raise ValueError(f"{incident.id} was not investigated")


def signal_row(signal: Signal) -> dict[str, object]:
    """A signal as a labelled incident has it, without what says nothing."""
    row = signal.model_dump(mode="json", exclude_none=True, exclude={"source", "status"})
    return {name: value for name, value in row.items() if value not in ("", {})}
