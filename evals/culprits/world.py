"""Random service graphs: who calls whom, how often, how long each waits, and what each can bear."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from models.localisation.measures import Row

Shape = Literal["layers", "tree", "hubs", "chains"]
SHAPES: tuple[Shape, ...] = ("layers", "tree", "hubs", "chains")
Mode = Literal["in turn", "at once", "not awaited"]


@dataclass(frozen=True)
class Call:
    """One service calls another."""

    caller: int
    callee: int
    per_request: float
    """Calls for each request of the caller, on average."""
    mode: Mode
    timeout: float
    """Seconds after which the caller gives up."""
    retries: int
    needed: bool
    """Whether a failed call fails the caller's request."""


@dataclass(frozen=True)
class World:
    """Services by number, callers before callees."""

    own: Row
    """Seconds of work a request, without callees, when idle."""
    capacity: Row
    """Requests a second that it can bear."""
    failing: Row
    """Share of requests that fail anyway."""
    instances: Row
    entries: dict[int, float]
    """Requests a second from users, by service."""
    calls: tuple[Call, ...]
    """Sorted by caller."""
    named_calls: bool
    """Whether callers measure their calls too: each call then is a node of the graph, between the two services."""
    names: tuple[str, ...] = field(default=())

    def load(self) -> Row:
        """Requests a second of each service in normal times."""
        return _arrivals(self)

    def call_name(self, call: Call) -> str:
        """The name of the node that a measured call is."""
        return f"{self.names[call.caller]} to {self.names[call.callee]}"

    def graph(self) -> dict[str, tuple[str, ...]]:
        """The callees of each node; calls are nodes where they are measured."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(self.names, ())
        for call in self.calls:
            caller, callee = self.names[call.caller], self.names[call.callee]
            if self.named_calls:
                found[caller] += (self.call_name(call),)
                found[self.call_name(call)] = (callee,)
            else:
                found[caller] += (callee,)
        return found

    def callees(self, service: int) -> list[Call]:
        """The calls that it makes."""
        return [call for call in self.calls if call.caller == service]


def make_world(rng: np.random.Generator, shape: Shape, size: int) -> World:
    """A graph of `size` services of that shape; everything else by chance."""
    pairs = _pairs(rng, shape, size)
    called = {callee for _, callee in pairs}
    roots = [number for number in range(size) if number not in called]
    calls = tuple(_call(rng, caller, callee) for caller, callee in sorted(pairs))
    own = np.exp(rng.normal(np.log(0.02), 0.8, size))
    entries = {root: float(np.exp(rng.normal(np.log(20), 0.8))) for root in roots}
    failing = np.where(rng.random(size) < 0.7, 0.0, 10 ** rng.uniform(-4, -2.3, size))
    world = World(
        own=own,
        capacity=np.ones(size),
        failing=failing,
        instances=rng.integers(1, 9, size).astype(float),
        entries=entries,
        calls=calls,
        named_calls=bool(rng.random() < 0.5),
        names=tuple(f"s{number:02d}" for number in rng.permutation(size)),
    )
    arrivals = _arrivals(world)
    most_used = 0.6 if rng.random() < 0.5 else 0.3
    return replace(world, capacity=arrivals / rng.uniform(0.1, most_used, size))


def _pairs(rng: np.random.Generator, shape: Shape, size: int) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    roots = int(rng.integers(1, 4)) if size > 8 else 1
    for callee in range(roots, size):
        if shape == "layers":
            low = max(0, callee - max(3, size // 4))
            callers = rng.choice(np.arange(low, callee), size=min(callee - low, int(rng.integers(1, 4))), replace=False)
        elif shape == "tree":
            callers = rng.integers(0, callee, 1)
        elif shape == "hubs":
            # Early callees of the last ones are few; the last ones, as databases are, are called by many.
            count = 1 if callee < size * 0.8 else min(callee, int(rng.integers(2, max(4, size // 4))))
            callers = rng.choice(callee, size=count, replace=False)
        else:
            callers = np.array([callee - 1 if rng.random() < 0.7 and callee > roots else rng.integers(0, callee)])
        found |= {(int(caller), callee) for caller in callers}
    return found


def _call(rng: np.random.Generator, caller: int, callee: int) -> Call:
    mode: Mode = rng.choice(np.array(["in turn", "at once", "not awaited"]), p=[0.6, 0.25, 0.15])
    return Call(
        caller=caller,
        callee=callee,
        per_request=float(rng.choice([0.1, 0.3, 0.5, 1.0, 1.0, 1.0])),
        mode=mode,
        timeout=float(rng.choice([1.0, 3.0, 10.0, 30.0])),
        retries=int(rng.choice([0, 1, 2], p=[0.65, 0.25, 0.1])),
        needed=mode != "not awaited" and bool(rng.random() < 0.75),
    )


def _arrivals(world: World) -> Row:
    found = np.zeros(len(world.own))
    for service, rate in world.entries.items():
        found[service] = rate
    for call in world.calls:
        found[call.callee] += found[call.caller] * call.per_request
    return np.maximum(found, 0.05)
