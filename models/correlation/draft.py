"""An incident while signals are put into it: bounded, deduplicated by fingerprint, and its derived fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from models.correlation.causes import Paths, causes
from models.correlation.companions import kind_of
from models.correlation.impact import impact_of
from models.correlation.signals import opens_alone, strength
from models.domain.base import Labels
from models.domain.incident import Incident, IncidentStatus, TimelineEntry
from models.domain.signal import Signal
from models.domain.topology import Topology
from models.localisation.culprits import localise

FINGERPRINTS_AT_MOST = 500
"""Different signals that one incident keeps; further ones are counted in its timeline. The first sure one of a service
is kept beyond that, up to twice as many in all."""
TIMELINE_NAMES = 5


def environment_of(signal: Signal, topology: Topology) -> str:
    """The environment that the signal names, else that of its service, else `default`."""
    service = topology.services.get(signal.service or "")
    return signal.environment or (service.environment if service else None) or "default"


def latest_of(signals: Iterable[Signal]) -> dict[str, Signal]:
    """By fingerprint, the latest signal."""
    found: dict[str, Signal] = {}
    for signal in signals:
        held = found.get(signal.fingerprint)
        if held is None or signal.at >= held.at:
            found[signal.fingerprint] = signal
    return found


class Draft:
    """One incident being changed. `incident` is None for a new one."""

    def __init__(self, incident: Incident | None, environment: str, *, bounded: bool = True) -> None:
        self.bounded = bounded
        """Without, it keeps all signals: for those of a call, before their causes are told apart."""
        self.incident = incident
        self.environment = environment
        self.first: dict[str, Signal] = {}
        self.latest: dict[str, Signal] = {}
        self.services: set[str] = set()
        self.new: list[Signal] = []
        """Signals whose fingerprint this call brought."""
        self.left_out = 0
        self.touched = False
        self.reopened = False
        self.gone = False
        """Whether another incident took its signals."""
        self.sure: set[str] = set()
        """Services with a signal that would open an incident alone."""
        self.taken: set[str] = set()
        """Fingerprints that this call brought, kept or not."""
        self._causes: list[frozenset[str]] | None = None
        self.names: set[str] = set()
        self.kinds: set[str] = set()
        self.because: Counter[str] = Counter()
        """Why signals of this call were put in here."""
        self.span: tuple[datetime, datetime] | None = None
        """Times of the first and the last signal; None while there is none."""
        for signal in incident.signals if incident else ():
            self._keep(signal)

    def put(self, signal: Signal) -> None:
        """Take a signal in; a repeat only replaces the first or the latest one of its fingerprint."""
        self.touched = True
        self.taken.add(signal.fingerprint)
        if signal.fingerprint not in self.first:
            if self._is_full(signal):
                self.left_out += 1
                return
            self.new.append(signal)
        self._keep(signal)

    def _is_full(self, signal: Signal) -> bool:
        if not self.bounded or len(self.first) < FINGERPRINTS_AT_MOST:
            return False
        # What says that a further service ails may be the cause itself, and come last.
        sure = signal.service not in self.sure and opens_alone(signal)
        return not (signal.service and sure) or len(self.first) >= 2 * FINGERPRINTS_AT_MOST

    def _keep(self, signal: Signal) -> None:
        fingerprint = signal.fingerprint
        if fingerprint not in self.first or signal.at < self.first[fingerprint].at:
            self.first[fingerprint] = signal
        if fingerprint not in self.latest or signal.at >= self.latest[fingerprint].at:
            self.latest[fingerprint] = signal
        if signal.service:
            self._note_service(signal, signal.service)
        self.names.add(signal.name)
        self.kinds.add(kind_of(signal))
        begin, end = self.span or (signal.at, signal.at)
        self.span = min(begin, signal.at), max(end, signal.at)

    def _note_service(self, signal: Signal, service: str) -> None:
        known = len(self.services) + len(self.sure)
        self.services.add(service)
        if signal.status == "firing" and service not in self.sure and opens_alone(signal):
            self.sure.add(service)
        if len(self.services) + len(self.sure) != known:
            self._causes = None

    def causes(self, paths: Paths) -> list[frozenset[str]]:
        """The services that nothing in here explains; of those that surely ail, where there are any."""
        if self._causes is None:
            self._causes = causes(self.sure or self.services, paths)
        return self._causes

    def origins(self, paths: Paths) -> list[str]:
        """The same, one after the other."""
        return [service for cause in self.causes(paths) for service in cause]

    def absorb(self, other: Draft) -> None:
        """Take in all signals of another draft."""
        for signal in (*other.first.values(), *other.latest.values()):
            self.put(signal)
        self.left_out += other.left_out

    def signals(self) -> tuple[Signal, ...]:
        """By fingerprint the first and, where it is another, the latest signal, in time order."""
        kept = [
            signal
            for fingerprint, first in self.first.items()
            for signal in ((first,) if self.latest[fingerprint] is first else (first, self.latest[fingerprint]))
        ]
        return tuple(sorted(kept, key=lambda signal: signal.at))

    def build(self, topology: Topology, now: datetime) -> Incident:
        """The incident with title, severity, services, labels, culprits and impact as its signals now say."""
        signals = self.signals()
        top = max(signals, key=strength)
        before = self.incident
        incident = Incident(
            id=before.id if before else "",
            title=f"{top.service}: {top.name}"[:500] if top.service else top.name,
            description=before.description if before else top.text[:2000],
            severity=max((top.severity, *((before.severity,) if before else ())), key=lambda severity: severity.rank),
            status=before.status if before and not self.reopened else IncidentStatus.OPEN,
            episode=before.episode + self.reopened if before else 1,
            version=before.version if before else 0,
            abstained_with=before.abstained_with if before and not self.reopened else None,
            requested=before.requested if before and not self.reopened else None,
            environment=self.environment,
            services=tuple(dict.fromkeys(signal.service for signal in signals if signal.service)),
            signals=signals,
            started_at=min(signals[0].at, *((before.started_at,) if before else (now,))),
            detected_at=before.detected_at if before else now,
            updated_at=now,
            ended_at=None if self.reopened or before is None else before.ended_at,
            timeline=(*(before.timeline if before else ()), *self._entries(now)),
        )
        culprits = localise(incident, topology)
        incident = incident.model_copy(update={"culprits": culprits})
        share = before.impact.failing_share if before else None
        return incident.model_copy(
            update={"labels": labels_of(incident, topology), "impact": impact_of(incident, topology, share)}
        )

    def _entries(self, now: datetime) -> tuple[TimelineEntry, ...]:
        entries = []
        if self.incident is None:
            entries.append(TimelineEntry(at=now, kind="opened", text="Incident opened"))
        elif self.reopened:
            entries.append(
                TimelineEntry(at=now, kind="reopened", text="The same signal fired again soon after the end")
            )
        count = len(self.new) + self.left_out
        if count:
            names = list(dict.fromkeys(signal.name for signal in self.new))
            text = ", ".join(names[:TIMELINE_NAMES]) + (" and more" if len(names) > TIMELINE_NAMES else "")
            data: dict[str, Any] = {"signals": count}
            if self.left_out:
                data["not_kept"] = self.left_out
            if self.because:
                data["because"] = dict(self.because.most_common(TIMELINE_NAMES))
            entries.append(TimelineEntry(at=now, kind="signals", text=text or "further signals", data=data))
        return tuple(entries)


def labels_of(incident: Incident, topology: Topology) -> Labels:
    """Labels of the culprit service in the topology, and those that all signals of that service share."""
    service = incident.culprit.service if incident.culprit else None
    own = [signal.labels for signal in incident.signals if signal.service == service]
    shared = dict(set.intersection(*(set(labels.items()) for labels in own))) if own else {}
    known = topology.services.get(service or "")
    return {**dict(sorted(shared.items())), **(known.labels if known else {})}
