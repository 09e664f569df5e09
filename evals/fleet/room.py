"""Incidents of a run without a store: what the service does with signals, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.correlation import Memory, correlate, quiet, signal_of
from models.domain.incident import Incident, IncidentStatus
from models.domain.signal import Anomaly
from models.domain.topology import Topology

WINDOW = timedelta(minutes=5)
"""`group_window` and `resolve_after` as they are unless set."""
RECENT = timedelta(minutes=30)


@dataclass
class Room:
    """Takes anomalies tick by tick; `opened` holds every incident as it was when it opened."""

    topology: Topology = field(default_factory=Topology)
    opened: list[Incident] = field(default_factory=list)
    reopened: int = 0
    _active: dict[str, Incident] = field(default_factory=dict)
    _ended: list[Incident] = field(default_factory=list)
    _memory: Memory = field(default_factory=Memory)

    def take(self, anomalies: Sequence[Anomaly], now: datetime) -> None:
        """One tick: resolve what went quiet, then let what departs open or join incidents."""
        for over in quiet(self._active.values(), now, WINDOW):
            del self._active[over.id]
            self._ended.append(over.model_copy(update={"status": IncidentStatus.RESOLVED, "ended_at": now}))
        self._ended = [past for past in self._ended if past.ended_at and now - past.ended_at <= RECENT]
        if not anomalies:
            return
        signals = [signal_of(anomaly) for anomaly in anomalies]
        active = list(self._active.values())
        found = correlate(signals, active, self._ended, self.topology, now=now, window=WINDOW, memory=self._memory)
        self._memory = found.memory
        for incident in found.opened:
            named = incident.model_copy(update={"id": f"INC-{len(self.opened) + 1}"})
            self.opened.append(named)
            self._active[named.id] = named
        for incident in found.updated:
            self._active[incident.id] = incident
        for incident in found.reopened:
            back = incident.model_copy(update={"status": IncidentStatus.OPEN, "ended_at": None})
            self._active[back.id] = back
            self.reopened += 1
        gone = {identifier for identifier, _ in found.merged} | {incident.id for incident in found.reopened}
        self._active = {name: one for name, one in self._active.items() if name not in gone or one in found.reopened}
        self._ended = [past for past in self._ended if past.id not in gone]
