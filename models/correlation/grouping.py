"""Which signals belong together: the same fingerprint, or connected services of one environment close in time.

Signals that would open an incident alone find their places first: where several of their services are causes of their
own (`causes.py`), each cause has an incident. Weak ones then go to the nearest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.correlation.causes import FAR, Paths, causes, explains
from models.correlation.companions import TELLS, Companions, kind_of
from models.correlation.draft import Draft, environment_of
from models.correlation.signals import opens_alone
from models.domain.incident import Incident, IncidentStatus
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

    def __init__(
        self, topology: Topology, window: timedelta, drafts: list[Draft], companions: Companions | None = None
    ) -> None:
        self.topology, self.window, self.drafts = topology, window, drafts
        self.companions = companions or Companions()
        self.paths = Paths(topology)
        self._known: dict[str, Draft] = {}
        for draft in reversed(drafts):
            self._known.update(dict.fromkeys(draft.first, draft))

    def repeat(self, signal: Signal) -> bool:
        """Whether an active incident has this fingerprint already; it then takes the repeat."""
        draft = self._known.get(signal.fingerprint)
        if draft is not None:
            draft.put(signal)
        return draft is not None

    def reopen(self, incident: Incident, signal: Signal) -> None:
        """Make an ended incident active again, with the signal that came back."""
        draft = Draft(incident, incident.environment)
        draft.reopened = True
        draft.put(signal)
        self.drafts.append(draft)
        self._known = dict.fromkeys(draft.first, draft) | self._known

    def place(self, signals: Iterable[Signal]) -> list[Draft]:
        """Put signals into the active incidents where they belong; what belongs to none comes back as new drafts."""
        ordered = sorted(signals, key=lambda signal: signal.at)
        left = self._join([signal for signal in ordered if opens_alone(signal)], self.drafts)
        groups = [part for group in self._group(left) for part in self._separate(group)]
        weak = [signal for signal in ordered if not opens_alone(signal)]
        return [*groups, *map(self._bound, self._group(self._join(weak, [*self.drafts, *groups])))]

    def consequences(self, now: datetime) -> list[tuple[Draft, Draft]]:
        """Incidents whose causes turn out to be consequences of another's, with that one, which takes their signals.

        Only while they are young and nothing has begun on them.
        """
        found: list[tuple[Draft, Draft]] = []
        for home in [draft for draft in self.drafts if draft.touched]:
            for other in self.drafts:
                if other is not home and not other.gone and not home.gone and self._explained(other, home, now):
                    home.absorb(other)
                    other.gone = True
                    found.append((other, home))
        return found

    def _explained(self, other: Draft, home: Draft, now: datetime) -> bool:
        known = other.incident
        if known is None or other.environment != home.environment or not other.sure or not home.sure:
            return False
        if home.incident is not None and home.incident.id in known.apart_from:
            return False
        if now - known.detected_at > self.window or not _untouched(known):
            return False
        return explains(home.origins(self.paths), other.origins(self.paths), self.paths)

    def _join(self, signals: Iterable[Signal], drafts: list[Draft]) -> list[Signal]:
        """Put signals into the drafts where they belong; returns those that found none.

        A signal may widen an incident to a further service and so let others in: hence the rounds.
        """
        left = list(signals)
        while True:
            out = [signal for signal in left if not self._joined(signal, drafts)]
            if len(out) == len(left):
                return out
            left = out

    def _joined(self, signal: Signal, drafts: list[Draft]) -> bool:
        if self.repeat(signal):
            return True
        near = [draft for draft in drafts if self._belongs(signal, draft)]
        if near:
            home = max(near, key=lambda draft: self._nearness(signal, draft))
            home.because[self._reason(signal, home)] += 1
            home.put(signal)
            self._known[signal.fingerprint] = home
        return bool(near)

    def _nearness(self, signal: Signal, draft: Draft) -> tuple[bool, bool, bool, int, float]:
        """What was learned first; then who has the service already, the nearest cause, and who spoke last."""
        service = signal.service or ""
        away = min((self.paths.distance(service, origin) for origin in draft.origins(self.paths)), default=FAR)
        last = draft.span[1].timestamp() if draft.span else 0.0
        return self._tie(signal, draft) > 0, service in draft.sure, service in draft.services, -away, last

    def _tie(self, signal: Signal, draft: Draft) -> int:
        """1 where the signal's kind was in one incident with one of the draft before, -1 where people parted them."""
        return _told(self.companions.odds([kind_of(signal)], draft.kinds)[0]) if self.companions else 0

    def _reason(self, signal: Signal, draft: Draft) -> str:
        if self._tie(signal, draft) > 0:
            return f"was in one incident with {self.companions.odds([kind_of(signal)], draft.kinds)[1]} before"
        if signal.service is None or signal.service in draft.services:
            return "is of a service that is in here" if signal.service else "has the name of one that is in here"
        return f"is connected to {', '.join(draft.origins(self.paths)[:3])}"

    def _group(self, signals: Iterable[Signal]) -> list[Draft]:
        """New drafts of signals (in time order) of connected services."""
        groups: list[Draft] = []
        for signal in signals:
            near = [group for group in groups if self._belongs(signal, group, as_cause=False)]
            home = near[0] if near else Draft(None, environment_of(signal, self.topology), bounded=False)
            home.put(signal)
            for other in near[1:]:
                home.absorb(other)
            merged = {id(other) for other in near[1:]}
            groups = [group for group in groups if id(group) not in merged]
            if not near:
                groups.append(home)
        return groups

    def _separate(self, group: Draft) -> list[Draft]:
        """A bounded draft for each cause in the group; a signal goes to the nearest, then to the nearest in time."""
        kinds: dict[str, set[str]] = defaultdict(set)
        for signal in group.first.values() if self.companions else ():
            kinds[signal.service or ""].add(kind_of(signal))

        def tie(one: str, other: str) -> int:
            return _told(self.companions.odds(kinds[one], kinds[other])[0]) if self.companions else 0

        found = causes(group.sure or group.services, self.paths, tie) or [frozenset()]
        parts = [(cause, Draft(None, group.environment)) for cause in found]
        began = {
            cause: min((s.at for s in group.first.values() if s.service in cause), default=None) for cause in found
        }

        def far(signal: Signal, cause: frozenset[str]) -> tuple[int, timedelta]:
            own = signal.service or ""
            away = min((self.paths.distance(own, s) for s in cause if own == s or tie(own, s) >= 0), default=FAR)
            return away, abs(signal.at - (began[cause] or signal.at))

        for signal in group.signals():
            home = min(parts, key=lambda part: far(signal, part[0]))[1]
            home.put(signal)
            self._known[signal.fingerprint] = home
        return [draft for _, draft in parts]

    def _bound(self, group: Draft) -> Draft:
        bounded = Draft(None, group.environment)
        for signal in group.signals():
            bounded.put(signal)
        return bounded

    def _belongs(self, signal: Signal, draft: Draft, *, as_cause: bool = True) -> bool:
        if draft.environment != environment_of(signal, self.topology):
            return False
        # A signal may come late: what counts is its distance, whichever side it is on.
        if draft.span and not draft.span[0] - self.window <= signal.at <= draft.span[1] + self.window:
            return False
        service, tie = signal.service, self._tie(signal, draft)
        if tie:
            return tie > 0 or service in draft.sure
        if service is None:
            # Without a service, only the very same name says that two signals belong together.
            return signal.name in draft.names
        if service in draft.sure or (service in draft.services and not opens_alone(signal)):
            return True
        # What surely ails is its own cause, unless it explains this incident's or is explained by it.
        near = draft.origins(self.paths) if as_cause and opens_alone(signal) else draft.services
        return any(self.paths.connected(service, other) for other in near)


def _told(odds: float) -> int:
    return (odds >= TELLS) - (odds <= -TELLS)


def _untouched(incident: Incident) -> bool:
    """Whether nothing was begun on it, and no person has taken it."""
    if incident.status is IncidentStatus.ESCALATED:
        return incident.abstained_with is not None
    return incident.status in (IncidentStatus.OPEN, IncidentStatus.INVESTIGATING)
