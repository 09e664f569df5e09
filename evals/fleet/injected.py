"""Faults of eight kinds in the samples of a healthy fleet: what each does to a series, and for how long."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True)
class Moment:
    """What a faulty value is made of. `usual` and `spread` are mean and standard deviation of the hours before."""

    value: float
    """Without the fault."""
    usual: float
    spread: float
    age: int
    """Ticks since the fault began."""
    size: float
    """In spreads, drawn for each fault."""
    noise: float
    """Standard normal, drawn for each tick."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault."""

    ticks: int
    """How long it lasts."""
    change: Callable[[Moment], float]
    """The faulty value."""
    affects: int = 1
    """Series of a service that change together."""
    of_ratios: bool = False
    """Whether only of series that have an upper end at 1."""


KINDS: Mapping[str, Kind] = {
    "spike": Kind(2, lambda m: m.value + 2 * m.size * m.spread),
    "level": Kind(60, lambda m: m.value + m.size * m.spread),
    "trend": Kind(120, lambda m: m.value + m.size * m.spread * m.age / 20),
    "variance": Kind(120, lambda m: m.value + m.size * m.spread * m.noise),
    "dropout": Kind(60, lambda m: 0.0),  # noqa: ARG005
    "seasonality": Kind(240, lambda m: m.value + m.size * m.spread * math.sin(2 * math.pi * m.age / 60)),
    "saturation": Kind(60, lambda m: min(m.usual + m.size * m.spread, 1.0), of_ratios=True),
    "correlated shift": Kind(60, lambda m: m.value + m.size / 2 * m.spread, affects=3),
}
CALM, GAP = 600, 7
"""Ticks before the first fault, and from one to the next."""
SIZES = (4.0, 12.0)
"""Standard deviations; half of it where several series shift at once, twice that in a spike."""


@dataclass(frozen=True)
class Fault:
    """One injected fault, in places of a batch."""

    kind: str
    series: tuple[int, ...]
    begins: int
    """Tick."""
    size: float

    @property
    def ends(self) -> int:
        """The tick after its last one."""
        return self.begins + KINDS[self.kind].ticks


def draw_faults(gauges: NDArray[np.intp], ratios: int, count: int, random: Generator) -> list[Fault]:
    """`count` faults, the kinds in turn, each in another service: one begins every GAP ticks from tick CALM on.

    `gauges` are places in a batch, [services, parts], of which the first `ratios` parts are ratios.
    """
    names = list(KINDS)
    found = []
    for number, service in enumerate(random.permutation(len(gauges))[:count]):
        name = names[number % len(names)]
        kind = KINDS[name]
        parts = random.permutation(gauges[service][: ratios if kind.of_ratios else None])[: kind.affects]
        size = float(random.uniform(*SIZES))
        found.append(Fault(name, tuple(int(part) for part in parts), CALM + number * GAP, size))
    return found


class Injector:
    """Changes batches' values while faults last; remembers what was usual of their series until they began."""

    def __init__(self, faults: list[Fault], random: Generator) -> None:
        self.faults = faults
        self.random = random
        self.past: dict[int, list[float]] = {place: [] for fault in faults for place in fault.series}
        self._usual: dict[int, tuple[float, float]] = {}

    def apply(self, values: Floats, tick: int) -> None:
        """Change the values of a tick in place."""
        for fault in self.faults:
            for place in fault.series:
                if tick < fault.begins:
                    self.past[place].append(float(values[place]))
                elif tick < fault.ends:
                    values[place] = self._faulty(fault, place, float(values[place]), tick - fault.begins)

    def _faulty(self, fault: Fault, place: int, value: float, age: int) -> float:
        if place not in self._usual:
            past = np.array(self.past.pop(place)[-240:])
            self._usual[place] = float(past.mean()), float(past.std())
        usual, spread = self._usual[place]
        moment = Moment(value, usual, spread, age, fault.size, float(self.random.normal()))
        return KINDS[fault.kind].change(moment)
