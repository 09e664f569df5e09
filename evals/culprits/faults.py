"""Faults of kinds that PetShop has not, put into a simulated world.

The truth of a fault is a set of nodes, any of which is right to name; empty where the cause is outside the graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evals.culprits.flow import Disturbance
from evals.culprits.world import Call, World

SECONDS = 60.0
"""Length of a window."""
BUSY_MATTERS = 50.0
"""Requests a window above which a service is used at all."""

Truth = frozenset[str]
Fault = Callable[[np.random.Generator, World, Disturbance, slice], Truth | None]


def _used(rng: np.random.Generator, world: World) -> int:
    """A service with traffic, by chance: any may fail, also one that nobody calls."""
    return int(rng.choice(np.flatnonzero(world.load() * SECONDS > BUSY_MATTERS)))


def _a_call(rng: np.random.Generator, world: World) -> Call | None:
    load = world.load() * SECONDS
    used = [call for call in world.calls if load[call.caller] * call.per_request > BUSY_MATTERS]
    return used[int(rng.integers(len(used)))] if used else None


def latency(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth:
    """A service's own work takes longer."""
    one = _used(rng, world)
    other.delay[at, one] += world.own[one] * rng.uniform(2, 15)
    return frozenset({world.names[one]})


def errors(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth:
    """A service fails a share of its requests."""
    one = _used(rng, world)
    other.failing[at, one] = rng.uniform(0.05, 0.9)
    return frozenset({world.names[one]})


def saturation(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth:
    """A service can bear less than what is asked of it."""
    one = _used(rng, world)
    other.capacity[at, one] = world.load()[one] / world.capacity[one] * rng.uniform(0.6, 1.1)
    return frozenset({world.names[one]})


def partial(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth:
    """One instance of a service fails or hangs: a share of its requests."""
    one = _used(rng, world)
    share = 1 / max(int(world.instances[one]), 2)
    if rng.random() < 0.5:
        other.failing[at, one] = share
    else:
        other.delay[at, one] += share * world.own[one] * rng.uniform(20, 60)
    return frozenset({world.names[one]})


def network(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth | None:
    """Between two services calls are slow or lost. Where calls are nodes it is that node, else either end."""
    call = _a_call(rng, world)
    if call is None:
        return None
    key, windows = (call.caller, call.callee), len(other.users)
    slow, lost = np.zeros(windows), np.zeros(windows)
    if rng.random() < 0.5:
        slow[at] = world.own[call.callee] * rng.uniform(3, 15) + rng.uniform(0.05, 0.5)
    else:
        lost[at] = rng.uniform(0.1, 0.8)
    other.call_delay[key], other.call_failing[key] = slow, lost
    ends = {world.names[call.caller], world.names[call.callee]}
    return frozenset({world.call_name(call)}) if world.named_calls else frozenset(ends)


def retry_storm(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth | None:
    """A service calls another many times for each request, and that one cannot bear it."""
    call = _a_call(rng, world)
    if call is None:
        return None
    factor = np.ones(len(other.users))
    room = world.capacity[call.callee] / world.load()[call.callee]
    factor[at] = room * rng.uniform(1.0, 3.0) + 1
    other.calls[call.caller, call.callee] = factor
    return frozenset({world.names[call.caller]})


def traffic_drop(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth | None:
    """A service stops calling, and fails a part of its requests quickly: a wrong flag, an empty configuration."""
    call = _a_call(rng, world)
    if call is None:
        return None
    for each in world.callees(call.caller):
        factor = np.ones(len(other.users))
        factor[at] = rng.uniform(0.0, 0.2)
        other.calls[each.caller, each.callee] = factor
    other.failing[at, call.caller] = rng.uniform(0.1, 0.5)
    return frozenset({world.names[call.caller]})


def slow_leak(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth:  # noqa: ARG001
    """A service grows slower since long before the incident: normal times are tainted."""
    one = _used(rng, world)
    ramp = np.clip(np.linspace(-2.0, 1.0, len(other.users)), 0, 1) ** 2
    other.delay[:, one] += ramp * world.own[one] * rng.uniform(6, 20)
    return frozenset({world.names[one]})


def outside(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth:
    """Users send more than the services can bear."""
    room = np.min(world.capacity / world.load())
    other.users[at] *= room * rng.uniform(0.95, 1.5)
    return frozenset()


def new_call(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> Truth | None:
    """A release calls what nobody called before, and is failed by it or waits for it: the release is the cause."""
    called = [call.callee for call in world.calls]
    only = [call for call in world.calls if called.count(call.callee) == 1 and not world.callees(call.callee)]
    if not only:
        return None
    call = only[int(rng.integers(len(only)))]
    key, windows = (call.caller, call.callee), len(other.users)
    factor, slow, lost = np.zeros(windows), np.zeros(windows), np.zeros(windows)
    factor[at] = 1.0
    if rng.random() < 0.5:
        slow[at] = rng.uniform(0.1, 1.0)
    else:
        lost[at] = rng.uniform(0.2, 1.0)
    other.calls[key], other.call_delay[key], other.call_failing[key] = factor, slow, lost
    return frozenset({world.names[call.caller]})


FAULTS: dict[str, Fault] = {
    "latency": latency,
    "errors": errors,
    "saturation": saturation,
    "one instance": partial,
    "network": network,
    "retry storm": retry_storm,
    "traffic drop": traffic_drop,
    "slow leak": slow_leak,
    "new call": new_call,
    "outside": outside,
}
