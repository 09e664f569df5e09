"""Which ailing services of one connected topology are causes of their own, and whose signals are whose.

A fault travels from a callee to its callers. So a service that surely ails (one of its signals would open an incident
alone), and none of whose dependencies surely ails, is a cause; whatever depends on it may be its consequence. Weak
anomalies are never causes: they go with whom they are connected to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from models.domain.topology import Topology

FAR = 1_000_000
"""Calls between services that are not connected."""


class Paths:
    """Distances between the services of a topology, in calls; each service is searched from once."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._below: dict[str, dict[str, int]] = {}

    def below(self, service: str) -> Mapping[str, int]:
        """What `service` depends on, directly or through others, with the calls in between; itself with 0."""
        known = self._below.get(service)
        if known is None:
            known = self._below[service] = {service: 0}
            frontier, calls = {service}, 0
            while frontier:
                callees = {callee for name in frontier for callee in self._topology.dependencies(name)}
                frontier, calls = callees - known.keys(), calls + 1
                known.update(dict.fromkeys(frontier, calls))
        return known

    def depends(self, one: str, other: str) -> bool:
        """Whether `one` depends on `other`, directly or through others, and not also the other way round."""
        return one != other and other in self.below(one) and one not in self.below(other)

    def connected(self, one: str, other: str) -> bool:
        """Whether one of the two is the other, or depends on it."""
        return other in self.below(one) or one in self.below(other)

    def distance(self, effect: str, cause: str) -> int:
        """Calls from `effect` down to `cause`. The other way round (load that falls) counts behind all of those."""
        down = self.below(effect).get(cause)
        if down is not None:
            return down
        up = self.below(cause).get(effect)
        return FAR if up is None else FAR // 2 + up


def causes(
    ailing: Collection[str], paths: Paths, tie: Callable[[str, str], int] = lambda _one, _other: 0
) -> list[frozenset[str]]:
    """The services that nothing ailing explains, those that depend on each other together; in alphabetical order.

    `tie` says of two services what was learned: 1 where they are one cause though nothing connects them, -1 where
    neither explains the other though they are connected, else 0.
    """
    free = sorted(
        service
        for service in ailing
        if not any(paths.depends(service, other) and tie(service, other) >= 0 for other in ailing)
    )
    found: list[frozenset[str]] = []
    for service in free:
        mates = {service} | {other for other in free if _are_one(service, other, paths, tie(service, other))}
        touching = [known for known in found if known & mates]
        found = [known for known in found if not known & mates]
        found.append(frozenset(mates.union(*touching)))
    return found


def _are_one(one: str, other: str, paths: Paths, tie: int) -> bool:
    return tie > 0 or (tie == 0 and paths.connected(one, other))


def explains(those: Collection[str], these: Collection[str], paths: Paths) -> bool:
    """Whether each of `these` causes depends on one of `those`: then they were consequences."""
    return bool(these) and all(any(paths.depends(one, other) for other in those) for one in these)
