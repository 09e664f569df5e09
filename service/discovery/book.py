"""The topology that the flow works with: the file's word, and what was seen where the file says nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from models.domain.base import Clock, Frozen, Time
from models.domain.topology import Service, Topology
from service.discovery.settings import DiscoverySettings
from service.store.topology import Edge, Edges, Ends, Seen

REREAD = timedelta(seconds=5)
"""How late the flow may know of a new dependency: the table is not read for every signal."""
FORGET = 4
"""Times `fade` after which a dependency leaves the table."""
NAMELESS = frozenset({"", "unknown", "user"})
"""What service graphs write where they do not know an end: no service."""
MAX_NAME = 200


class KnownEdge(Frozen):
    """One dependency with where it comes from."""

    caller: str
    callee: str
    sources: tuple[Literal["file", "traces", "metrics"], ...]
    used: bool
    """Whether the flow works with it."""
    reason: str
    """Why not; empty where it does."""
    calls: float | None = None
    """That were seen; None where the file alone has it."""
    first_at: Time | None = None
    last_at: Time | None = None


class TopologyBook:
    """The file's topology with the dependencies that were seen, kept in the store."""

    def __init__(self, file: Topology, edges: Edges, settings: DiscoverySettings, clock: Clock) -> None:
        self._file = file
        self._edges = edges
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._known = file
        self._read_at: datetime | None = None

    def current(self) -> Topology:
        """What the flow works with, at most five seconds old; the same object while nothing changed."""
        now = self._clock()
        with self._lock:
            if self._read_at is None or not timedelta(0) <= now - self._read_at < REREAD:
                known = merged(self._file, [edge for edge in self._edges.all() if not self._faded(edge, now)])
                self._known = self._known if known == self._known else known
                self._read_at = now
            return self._known

    def add(self, counts: Mapping[Ends, float], source: Seen) -> int:
        """Keep calls that were seen. Returns how many new dependencies had no room."""
        kept = {ends: calls for ends, calls in counts.items() if _named(*ends)}
        return self._edges.add(kept, source, self._clock(), self._settings.fade * FORGET) if kept else 0

    def edges(self) -> list[KnownEdge]:
        """Every dependency that is known, used or not, by caller and callee."""
        now = self._clock()
        seen: dict[Ends, list[Edge]] = {}
        for edge in self._edges.all():
            seen.setdefault((edge.caller, edge.callee), []).append(edge)
        written = {(name, callee) for name, entry in self._file.services.items() for callee in entry.depends_on}
        return [self._known_edge(ends, ends in written, seen.get(ends, []), now) for ends in sorted({*written, *seen})]

    def _known_edge(self, ends: Ends, written: bool, seen: Sequence[Edge], now: datetime) -> KnownEdge:
        reason = ""
        if not written and _decided(self._file, ends[0]):
            reason = f"the topology file says what {ends[0]} depends on"
        elif not written and all(self._faded(edge, now) for edge in seen):
            reason = "not seen lately"
        return KnownEdge(
            caller=ends[0],
            callee=ends[1],
            sources=(*(("file",) if written else ()), *(edge.source for edge in seen)),
            used=not reason,
            reason=reason,
            calls=max((edge.calls for edge in seen), default=None),
            first_at=min((edge.first_at for edge in seen), default=None),
            last_at=max((edge.last_at for edge in seen), default=None),
        )

    def _faded(self, edge: Edge, now: datetime) -> bool:
        return now - edge.last_at > self._settings.fade


def merged(file: Topology, seen: Sequence[Edge]) -> Topology:
    """The file's services, with what was seen for those of which it does not say what they depend on."""
    found: dict[str, dict[str, None]] = {}
    for edge in seen:
        if not _decided(file, edge.caller):
            found.setdefault(edge.caller, {})[edge.callee] = None
    services = dict(file.services)
    for caller, callees in found.items():
        services[caller] = services.get(caller, Service()).model_copy(update={"depends_on": tuple(callees)})
        services |= {callee: Service() for callee in callees if callee not in services}
    return Topology(services=services) if found else file


def _decided(file: Topology, service: str) -> bool:
    """Whether the file says what the service depends on, be it nothing: `depends_on: []`."""
    return service in file.services and "depends_on" in file.services[service].model_fields_set


def _named(caller: str, callee: str) -> bool:
    both = (caller, callee)
    return caller != callee and all(
        name not in NAMELESS and len(name) <= MAX_NAME and name.isprintable() for name in both
    )
