"""Which service depends on which: read from a file, used for impact, grouping and localisation."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field

from models.domain.base import Frozen, Labels


class Service(Frozen):
    """One service. `labels` are added to its incidents (`process`, `owner`, …), so that runbooks can use them."""

    depends_on: tuple[str, ...] = ()
    environment: str | None = None
    instances: tuple[str, ...] = ()
    """The targets that together are this service (`process:shop-1`, …): what its blast radius is a share of."""
    labels: Labels = Field(default_factory=dict)


def _nothing_said(value: object) -> object:
    # `shop:` alone is how YAML lists a service of which there is nothing to say.
    return {} if value is None else value


class Topology(Frozen):
    """All services by name. A service that others name but that is not listed has no dependencies."""

    services: dict[str, Annotated[Service, BeforeValidator(_nothing_said)]] = Field(default_factory=dict)

    def dependencies(self, service: str) -> tuple[str, ...]:
        """The services that `service` calls directly."""
        known = self.services.get(service)
        return known.depends_on if known else ()

    def all_dependencies(self, service: str) -> frozenset[str]:
        """The services that `service` calls, directly or through others."""
        found: set[str] = set()
        frontier = {service}
        while frontier:
            frontier = {callee for name in frontier for callee in self.dependencies(name)} - found - {service}
            found |= frontier
        return frozenset(found)

    def dependents(self, service: str) -> tuple[str, ...]:
        """The services that call `service`, directly or through others, in breadth-first order."""
        found: dict[str, None] = {}
        frontier = [service]
        while frontier:
            callers = {caller for name in frontier for caller in self.callers.get(name, ())} - found.keys() - {service}
            frontier = sorted(callers, key=self._places.__getitem__)
            found.update(dict.fromkeys(frontier))
        return tuple(found)

    @cached_property
    def callers(self) -> dict[str, tuple[str, ...]]:
        """By service, those that call it directly, in the order of `services`."""
        found: dict[str, dict[str, None]] = {}
        for name, entry in self.services.items():
            for callee in entry.depends_on:
                found.setdefault(callee, {})[name] = None
        return {callee: tuple(names) for callee, names in found.items()}

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.services)}

    def connected(self, one: str, other: str) -> bool:
        """Whether one of the two is the other, or depends on it, directly or through others."""
        return one == other or one in self.dependents(other) or other in self.dependents(one)
