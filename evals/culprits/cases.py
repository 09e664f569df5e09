"""Simulated incidents: faults in a world, and what monitoring would have of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from evals.culprits.faults import FAULTS, SECONDS, Truth
from evals.culprits.flow import Disturbance, Measured, calm, run
from evals.culprits.world import SHAPES, World, make_world
from models.localisation.measures import Measure, NodeSeries, Row, excess_of

NORMAL, AROUND = 48, 5
"""Windows of normal times, and of the incident."""
LOST, MISSING = 0.05, 0.03
"""Shares of columns and of values that are not measured."""
TRIES = 40


@dataclass(frozen=True)
class Case:
    """One simulated incident: what is measured, who calls whom, and where the harm was seen."""

    kind: str
    normal: Mapping[str, NodeSeries]
    around: Mapping[str, NodeSeries]
    calls: Mapping[str, tuple[str, ...]]
    target: str
    measure: Measure
    truths: tuple[Truth, ...]
    """One a cause; several where there are several causes."""


def make_cases(seeds: range, each: int, together: int = 1) -> Iterator[Case]:
    """`each` incidents of every kind of fault in one random graph a seed, of `together` kinds at once.

    A kind that a graph has no place for, or that nobody there would notice, is left out.
    """
    for seed in seeds:
        rng = np.random.default_rng(seed)
        world = make_world(rng, SHAPES[seed % len(SHAPES)], int(rng.integers(8, 40)))
        within = [kind for kind in FAULTS if kind != "outside"]
        for kind in FAULTS if together == 1 else within:
            others = [name for name in within if name != kind]
            for _ in range(each):
                more = rng.choice(others, together - 1, replace=False) if together > 1 else ()
                case = make_case(rng, world, (kind, *map(str, more)))
                if case is not None:
                    yield case


def make_case(rng: np.random.Generator, world: World, kinds: tuple[str, ...]) -> Case | None:
    """An incident of those kinds of faults at once; None where the graph has no place for them.

    One that nobody would notice is drawn anew, up to TRIES times.
    """
    windows = NORMAL + AROUND
    for _ in range(TRIES):
        other = calm(windows, len(world.own))
        # The hour of the day, and what else moves all users.
        hour = np.linspace(0, 2 * np.pi, windows) + rng.uniform(0, 6)
        other.users *= 1 + 0.2 * np.sin(hour) + rng.normal(0, 0.03, windows)
        drift(rng, world, other, slice(NORMAL, windows))
        usual = run(world, replace(calm(windows, len(world.own)), users=other.users.copy(), calls=dict(other.calls)))
        drawn = [FAULTS[kind](rng, world, other, slice(NORMAL, windows)) for kind in kinds]
        truths = tuple(truth for truth in drawn if truth is not None)
        if len(truths) < len(kinds):
            return None
        ailing = run(world, other)
        if not felt(world, usual, ailing):
            continue
        series = observe(rng, world, ailing)
        normal = {name: _part(one, slice(0, NORMAL)) for name, one in series.items()}
        around = {name: _part(one, slice(NORMAL, windows)) for name, one in series.items()}
        seen = noticed(world, normal, around)
        if seen is not None:
            return Case("+".join(kinds), normal, around, world.graph(), *seen, truths)
    return None


def drift(rng: np.random.Generator, world: World, other: Disturbance, at: slice) -> None:
    """What differs since normal times and does no harm: more or fewer users, and what they ask for."""
    if rng.random() < 0.5:
        room = float(np.min(world.capacity / world.load()))
        other.users[at] *= min(np.exp(rng.normal(0, 0.5)), max(0.7 * room, 1.0))
    for call in world.calls:
        if rng.random() < 0.15:
            factor = np.ones(len(other.users))
            factor[at] = np.exp(rng.normal(0, 0.3))
            other.calls[call.caller, call.callee] = factor


def felt(world: World, usual: Measured, ailing: Measured) -> bool:
    """Whether users of any entry truly fare worse than without the faults: a tenth slower, or a hundredth failing."""
    at, entries = slice(NORMAL, None), list(world.entries)
    slower = ailing.latency[at, entries].mean(axis=0) / usual.latency[at, entries].mean(axis=0)
    failing = ailing.failed[at, entries].mean(axis=0) - usual.failed[at, entries].mean(axis=0)
    return bool((slower > 1.1).any() or (failing > 0.01).any())


def noticed(
    world: World, normal: Mapping[str, NodeSeries], around: Mapping[str, NodeSeries]
) -> tuple[str, Measure] | None:
    """Where users feel it: the entry and the measure that depart most; None where none does."""
    best: tuple[float, str, Measure] | None = None
    for entry in world.entries:
        name = world.names[entry]
        for measure in Measure:
            found = excess_of(normal[name], around[name], measure)
            if found is not None and found.anomalous and (best is None or found.excess / found.noise > best[0]):
                best = found.excess / max(found.noise, 1e-12), name, measure
    return None if best is None else best[1:]


def observe(rng: np.random.Generator, world: World, truth: Measured) -> dict[str, NodeSeries]:
    """What monitoring has of it: counted, averaged, noisy, with columns and values missing."""
    found = {
        name: _measure(rng, truth.requests[:, number], truth.latency[:, number], truth.failed[:, number])
        for number, name in enumerate(world.names)
    }
    if world.named_calls:
        for call in world.calls:
            key = (call.caller, call.callee)
            found[world.call_name(call)] = _measure(
                rng, truth.call_requests[key], truth.call_latency[key], truth.call_failed[key]
            )
    entries = {world.names[entry] for entry in world.entries}
    return {name: one if name in entries else _lossy(rng, one) for name, one in found.items()}


def _measure(rng: np.random.Generator, rate: Row, latency: Row, failed: Row) -> NodeSeries:
    # Some services answer as evenly as a clock, some do not.
    uneven = np.exp(rng.uniform(np.log(0.02), np.log(0.2)))
    requests = rng.poisson(np.maximum(rate, 0) * SECONDS).astype(float)
    any_came = requests > 0
    count = np.maximum(requests, 1)
    # Single answers spread as much as their mean, and hosts have better and worse minutes.
    seconds = latency * np.exp(rng.normal(0, uneven, len(rate))) * (1 + rng.normal(0, 1, len(rate)) / np.sqrt(count))
    share = rng.binomial(count.astype(int), np.clip(failed, 0, 1)) / count
    return NodeSeries(
        requests,
        np.where(any_came, np.maximum(seconds, latency * 0.05), np.nan),
        np.where(any_came, share, np.nan),
    )


def _lossy(rng: np.random.Generator, one: NodeSeries) -> NodeSeries:
    def holes(row: Row | None) -> Row | None:
        if row is None or rng.random() < LOST:
            return None
        return np.where(rng.random(len(row)) < MISSING, np.nan, row)

    return NodeSeries(holes(one.requests), holes(one.latency), holes(one.failed))


def _part(one: NodeSeries, part: slice) -> NodeSeries:
    rows = (one.requests, one.latency, one.failed)
    return NodeSeries(*(None if row is None else row[part] for row in rows))
