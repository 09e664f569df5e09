"""What a service graph does under load: requests, latency and failures of each service, window by window.

A mean-value model: arrivals go down the calls (with retries), latency and failures come back up, until both agree.
Waiting grows as 1/(1 - utilisation) (M/M/1); what a service cannot bear is refused; a call that outlasts its timeout
fails, with answers spread exponentially around their mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evals.culprits.world import Call, World
from models.localisation.measures import Row

State = dict[tuple[int, int], tuple[Row, Row, Row]]

ROUNDS = 12
FULL = 0.97
"""Utilisation at which waiting grows no more: what is above is refused."""
QUICK = 0.3
"""A request that fails by itself takes this share of the usual work."""


@dataclass
class Disturbance:
    """What differs from normal times, a value a window; neutral at first."""

    delay: Row
    """Seconds of work more, [windows, services]."""
    failing: Row
    """Share of requests that fail more, [windows, services]."""
    capacity: Row
    """Factor, [windows, services]."""
    users: Row
    """Factor of the requests of users, [windows]."""
    calls: dict[tuple[int, int], Row] = field(default_factory=dict)
    """Factor of the number of calls, by (caller, callee)."""
    call_delay: dict[tuple[int, int], Row] = field(default_factory=dict)
    call_failing: dict[tuple[int, int], Row] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A value a window: of services [windows, services], of calls by (caller, callee)."""

    requests: Row
    latency: Row
    failed: Row
    call_requests: dict[tuple[int, int], Row]
    call_latency: dict[tuple[int, int], Row]
    call_failed: dict[tuple[int, int], Row]


def calm(windows: int, services: int) -> Disturbance:
    """Nothing differs."""
    return Disturbance(
        np.zeros((windows, services)), np.zeros((windows, services)), np.ones((windows, services)), np.ones(windows)
    )


def run(world: World, other: Disturbance) -> Measured:
    """The steady state of each window. Requests are a second."""
    windows, services = other.delay.shape
    latency = np.repeat(world.own[None], windows, axis=0)
    failed = np.repeat(world.failing[None], windows, axis=0)
    arrivals = np.zeros((windows, services))
    state: State = {}
    for _ in range(ROUNDS):
        state = {(call.caller, call.callee): _outcome(call, other, latency, failed) for call in world.calls}
        arrivals = 0.5 * arrivals + 0.5 * _arrivals(world, other, state)
        latency, failed = _answers(world, other, state, arrivals)
    per_call = {(c.caller, c.callee): _sent(c, other) * state[c.caller, c.callee][0] for c in world.calls}
    return Measured(
        requests=arrivals,
        latency=latency,
        failed=failed,
        call_requests={key: arrivals[:, key[0]] * count for key, count in per_call.items()},
        call_latency={key: value[1] for key, value in state.items()},
        call_failed={key: value[2] for key, value in state.items()},
    )


def _sent(call: Call, other: Disturbance) -> Row:
    factor: Row = other.calls.get((call.caller, call.callee), np.ones(len(other.users)))
    return call.per_request * factor


def _outcome(call: Call, other: Disturbance, latency: Row, failed: Row) -> tuple[Row, Row, Row]:
    """Attempts for each call, seconds of one attempt, and the share of attempts that fail."""
    key = (call.caller, call.callee)
    zero = np.zeros(len(other.users))
    answer = latency[:, call.callee] + other.call_delay.get(key, zero)
    late = np.exp(-call.timeout / np.maximum(answer, 1e-6))
    fails = 1 - (1 - failed[:, call.callee]) * (1 - late) * (1 - other.call_failing.get(key, zero))
    attempts: Row = np.sum([fails**k for k in range(call.retries + 1)], axis=0)
    return attempts, np.minimum(answer, call.timeout), fails


def _arrivals(world: World, other: Disturbance, state: State) -> Row:
    found = np.zeros_like(other.delay)
    for service, rate in world.entries.items():
        found[:, service] = rate * other.users
    # In the order of callers: each has all its requests before it sends its own.
    for call in world.calls:
        attempts = state[call.caller, call.callee][0]
        found[:, call.callee] += found[:, call.caller] * _sent(call, other) * attempts
    return np.maximum(found, 1e-4)


def _answers(world: World, other: Disturbance, state: State, arrivals: Row) -> tuple[Row, Row]:
    work = world.own + other.delay
    # Work that takes longer uses up more of what the service can bear, half of it: part of a delay is waiting.
    bears = world.capacity * other.capacity / (1 + 0.5 * other.delay / world.own).clip(1, 3)
    used = arrivals / bears
    refused = np.clip(1 - 1 / np.maximum(used, 1e-9), 0, 1)
    own_failing = 1 - (1 - world.failing) * (1 - other.failing) * (1 - refused)
    latency = (work / (1 - np.minimum(used, FULL))) * (1 - other.failing * (1 - QUICK))
    survives = 1 - own_failing
    together = np.zeros_like(latency)
    for call in world.calls:
        attempts, seconds, fails = state[call.caller, call.callee]
        if call.mode == "not awaited":
            continue
        count = _sent(call, other)
        spent = count * attempts * seconds
        if call.mode == "in turn":
            latency[:, call.caller] += spent
        else:
            together[:, call.caller] = np.maximum(together[:, call.caller], spent)
        if call.needed:
            survives[:, call.caller] *= (1 - fails ** (call.retries + 1)) ** count
    return latency + together, 1 - survives
