"""Which signals belong together: the same fingerprint, or connected services of one environment close in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.correlation.draft import Draft, environment_of
from models.domain.incident import Incident
from models.domain.signal import Signal
from models.domain.topology import Topology


@dataclass
class Ended:
    """An incident that ended lately."""

    incident: Incident
    fingerprints: set[str] = field(init=False)
    at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprints = {signal.fingerprint for signal in self.incident.signals}
        self.at = self.incident.ended_at or self.incident.updated_at


class Grouping:
    """Puts signals into the drafts of one call."""

    def __init__(self, topology: Topology, window: timedelta, drafts: list[Draft]) -> None:
        self.topology, self.window, self.drafts = topology, window, drafts
        self._related: dict[tuple[str, str], bool] = {}

    def repeat(self, signal: Signal) -> bool:
        """Whether an active incident has this fingerprint already; it then takes the repeat."""
        for draft in self.drafts:
            if signal.fingerprint in draft.first:
                draft.put(signal)
                return True
        return False

    def reopen(self, incident: Incident, signal: Signal) -> None:
        """Make an ended incident active again, with the signal that came back."""
        draft = Draft(incident, incident.environment)
        draft.reopened = True
        draft.put(signal)
        self.drafts.append(draft)

    def join(self, signals: Iterable[Signal]) -> list[Signal]:
        """Put signals into active incidents of connected services; returns those that found none.

        A signal may widen an incident to a further service and so let others in: hence the rounds.
        """
        left = sorted(signals, key=lambda signal: signal.at)
        while True:
            out = [signal for signal in left if not self._join(signal)]
            if len(out) == len(left):
                return out
            left = out

    def _join(self, signal: Signal) -> bool:
        if self.repeat(signal):
            return True
        near = [draft for draft in self.drafts if self._belongs(signal, draft)]
        if near:
            # The incident that has the service already knows it best; then the one that spoke last.
            max(near, key=lambda draft: (signal.service in draft.services, _end(draft))).put(signal)
        return bool(near)

    def group(self, signals: Iterable[Signal]) -> list[Draft]:
        """New drafts of signals (in time order) that belong together."""
        groups: list[Draft] = []
        for signal in signals:
            near = [group for group in groups if self._belongs(signal, group)]
            home = near[0] if near else Draft(None, environment_of(signal, self.topology))
            home.put(signal)
            for other in near[1:]:
                home.absorb(other)
            merged = {id(other) for other in near[1:]}
            groups = [group for group in groups if id(group) not in merged]
            if not near:
                groups.append(home)
        return groups

    def _belongs(self, signal: Signal, draft: Draft) -> bool:
        if draft.environment != environment_of(signal, self.topology):
            return False
        # A signal may come late: what counts is its distance, whichever side it is on.
        if draft.span and not draft.span[0] - self.window <= signal.at <= draft.span[1] + self.window:
            return False
        service = signal.service
        if service is None:
            # Without a service, only the very same name says that two signals belong together.
            return signal.name in draft.names
        return service in draft.services or any(self._connected(service, other) for other in draft.services)

    def _connected(self, one: str, other: str) -> bool:
        key = (one, other)
        if key not in self._related:
            self._related[key] = self.topology.connected(one, other)
        return self._related[key]


def _end(draft: Draft) -> float:
    return draft.span[1].timestamp() if draft.span else 0.0
