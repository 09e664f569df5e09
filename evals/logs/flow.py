"""Lines through templates, detector and correlation, as in a service, on a simulated clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from evals.logs.generator import INTERVAL
from models.correlation import Memory, correlate, quiet, signal_of
from models.detection.batch import Detector
from models.detection.lockstep import build
from models.detection.logs.book import LogBook
from models.detection.logs.config import LogSettings
from models.detection.logs.lines import LogLine
from models.domain.incident import Incident, IncidentStatus
from models.domain.signal import Signal
from models.domain.topology import Topology

WINDOW = timedelta(minutes=5)
"""The default of `group_window` and `resolve_after`."""


@dataclass
class Flow:
    """One installation that only watches. State: everything that a restart would load."""

    book: LogBook = field(default_factory=lambda: LogBook(LogSettings()))
    detector: Detector = field(default_factory=lambda: build({}))
    memory: Memory = field(default_factory=Memory)
    active: dict[str, Incident] = field(default_factory=dict)
    ended: list[Incident] = field(default_factory=list)
    opened: int = 0

    def copy(self) -> Flow:
        """As after a restart, with no incident."""
        other = Flow()
        other.book.restore(self.book.dump())
        other.detector.restore(self.detector.dump())
        return other

    def step(self, lines: Sequence[LogLine], at: float) -> tuple[list[Signal], list[Incident]]:
        """Take the lines of the interval that ended at `at`; the signals, and the incidents that opened."""
        _, ticks = self.book.take(lines, at)
        ticks += self.book.tick(at + INTERVAL)
        signals: list[Signal] = []
        for tick in ticks:
            found = [signal_of(anomaly) for anomaly in self.detector.observe(tick.batch)]
            signals += [self.book.describe(signal, str) for signal in found] + list(tick.signals)
        return signals, self._correlate(signals, datetime.fromtimestamp(at, UTC))

    def _correlate(self, signals: Sequence[Signal], now: datetime) -> list[Incident]:
        for incident in quiet(self.active.values(), now, WINDOW):
            over = {"status": IncidentStatus.RESOLVED, "ended_at": now}
            self.ended.append(self.active.pop(incident.id).model_copy(update=over))
        self.ended = [one for one in self.ended if one.ended_at and now - one.ended_at < timedelta(minutes=30)]
        if not signals:
            return []
        found = correlate(
            signals, self.active.values(), self.ended, Topology(), now=now, window=WINDOW, memory=self.memory
        )
        self.memory = found.memory
        for incident in (*found.updated, *found.reopened):
            self.active[incident.id] = incident
            self.ended = [one for one in self.ended if one.id != incident.id]
        new = []
        for draft in found.opened:
            self.opened += 1
            incident = draft.model_copy(update={"id": f"INC-{self.opened}"})
            self.active[incident.id] = incident
            new.append(incident)
        return [*new, *found.reopened]
