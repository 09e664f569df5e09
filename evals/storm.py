"""`python -m evals.storm`: alert storms over random service graphs with several causes at once; are they told apart?

Each seed: a connected graph of services, causes none of which depends on another (their callers overlap or not, as it
comes), faults that travel up the calls, and alerts out of order, repeated and late, between harmless noise.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from models.correlation import Memory, correlate
from models.domain.base import Severity
from models.domain.incident import Incident
from models.domain.signal import Signal, SignalKind
from models.domain.topology import Service, Topology

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=5)
PODS, RULES = 6, ("HighLatency", "HighErrorRate", "QueueGrows", "ProbeFails")
CARRIES = 0.85
"""Probability that a call carries a fault on to the caller."""
NOISE, REPEATED, LATE = 0.05, 0.1, 0.05
"""Shares of all signals."""


@dataclass(frozen=True)
class Sent:
    """A signal, when it comes in, and which cause it is of; None for noise."""

    signal: Signal
    arrives: datetime
    cause: str | None


@dataclass(frozen=True)
class Storm:
    """What a seed makes."""

    topology: Topology
    causes: tuple[str, ...]
    sent: tuple[Sent, ...]
    overlap: float
    """Share of the ailing services that ail through more than one cause."""


@dataclass(frozen=True)
class Told:
    """How well the causes of one storm were told apart."""

    seed: int
    overlap: float
    incidents: int
    opened: int
    """Those that were merged later included."""
    purity: float
    """Share of the alerts that are in an incident most of whose alerts are of their own cause."""
    explained: float
    """Share of the alerts in an incident most of whose alerts are of a cause that their service depends on, or is."""
    top1: float
    """Share of the causes that are the first culprit of an incident."""


def storm(seed: int, services: int = 60, causes: int = 3, alerts: int = 2000, slow: float = 0.0) -> Storm:
    """The storm of a seed. The causes' own alerts come `slow` seconds later, as of rules that wait longer.

    Raises ValueError where the graph has no such causes.
    """
    rng = random.Random(seed)  # noqa: S311  (a simulation)
    topology = _graph(rng, services)
    chosen = _causes(rng, topology, causes)
    reached = {cause: _reached(rng, topology, cause) for cause in chosen}
    onsets = {cause: START + timedelta(seconds=rng.uniform(0, 90)) for cause in chosen}
    sent = [_alert(rng, cause, reached[cause], onsets[cause]) for cause in rng.choices(chosen, k=alerts)]
    sent += [Sent(_alert(rng, c, {c: 0}, onsets[c]).signal, onsets[c] + timedelta(seconds=40), c) for c in chosen]
    sent = [
        Sent(one.signal, one.arrives + timedelta(seconds=slow), one.cause) if one.signal.service == one.cause else one
        for one in sent
    ]
    sent += [_noise(rng, services) for _ in range(int(alerts * NOISE))]
    for one in rng.sample(sent, int(alerts * REPEATED)):
        sent.append(Sent(one.signal, one.arrives + timedelta(seconds=rng.uniform(0, 60)), one.cause))
    ailing = Counter(service for own in reached.values() for service in own)
    overlap = sum(count > 1 for count in ailing.values()) / len(ailing)
    return Storm(topology, chosen, tuple(sorted(sent, key=lambda one: one.arrives)), overlap)


def tell_apart(seed: int, made: Storm, batch: int) -> Told:
    """Correlate the storm in batches, as they come in, and compare."""
    active: dict[str, Incident] = {}
    homes: dict[str, str] = {}
    memory, opened = Memory(), 0
    for batched in _batches(made.sent, batch):
        found = correlate(
            [one.signal for one in batched], list(active.values()), [], made.topology,
            now=batched[-1].arrives, window=WINDOW, memory=memory,
        )  # fmt: skip
        memory = found.memory
        fresh = [one.model_copy(update={"id": f"INC-{opened + n}"}) for n, one in enumerate(found.opened)]
        opened += len(fresh)
        changed = [*fresh, *found.updated, *found.reopened]
        for incident, taken in zip(changed, found.taken, strict=True):
            active[incident.id] = incident
            homes.update(dict.fromkeys(taken, incident.id))
        for absorbed, _ in found.merged:
            del active[absorbed]
    return _told(seed, made, active, homes, opened)


def _told(seed: int, made: Storm, active: dict[str, Incident], homes: dict[str, str], opened: int) -> Told:
    causes: dict[str, Counter[str]] = defaultdict(Counter)
    for one in made.sent:
        if one.cause is not None and one.signal.fingerprint in homes:
            causes[homes[one.signal.fingerprint]][one.cause] += 1
    explained = sum(
        made.topology.connected(str(one.signal.service), causes[homes[one.signal.fingerprint]].most_common(1)[0][0])
        for one in made.sent
        if one.cause is not None and one.signal.fingerprint in homes
    )
    right = sum(count.most_common(1)[0][1] for count in causes.values())
    total = sum(count.total() for count in causes.values())
    first = {incident.culprit.service for incident in active.values() if incident.culprit}
    return Told(
        seed=seed, overlap=made.overlap, incidents=len(active), opened=opened,
        purity=right / total, explained=explained / total,
        top1=len(first & set(made.causes)) / len(made.causes),
    )  # fmt: skip


def _graph(rng: random.Random, services: int) -> Topology:
    """A connected graph without cycles: each service is called by at least one before it."""
    calls: list[set[int]] = [set() for _ in range(services)]
    for callee in range(1, services):
        for caller in rng.sample(range(callee), min(callee, rng.choice((1, 1, 2)))):
            calls[caller].add(callee)
    return Topology(
        services={f"s{n}": Service(depends_on=tuple(f"s{c}" for c in sorted(own))) for n, own in enumerate(calls)}
    )


def _causes(rng: random.Random, topology: Topology, count: int) -> tuple[str, ...]:
    for _ in range(1000):
        chosen = rng.sample(sorted(topology.services), count)
        if not any(topology.connected(one, other) for one in chosen for other in chosen if one != other):
            return tuple(chosen)
    raise ValueError(f"this graph has no {count} services none of which depends on another")


def _reached(rng: random.Random, topology: Topology, cause: str) -> dict[str, int]:
    """The services that the fault reaches, with the calls in between."""
    found, frontier = {cause: 0}, [cause]
    while frontier:
        callers = {up for name in frontier for up in topology.callers.get(name, ()) if rng.random() < CARRIES}
        frontier = sorted(callers - found.keys())
        found.update(dict.fromkeys(frontier, max(found.values()) + 1))
    return found


def _alert(rng: random.Random, cause: str, reached: dict[str, int], onset: datetime) -> Sent:
    service = rng.choice(sorted(reached))
    began = onset + timedelta(seconds=reached[service] * rng.expovariate(1 / 5) + rng.uniform(0, 30))
    labels = {"service": service, "pod": f"{service}-{rng.randrange(PODS)}", "of": str(rng.randrange(40))}
    severity = rng.choice((Severity.WARNING, Severity.CRITICAL))
    signal = Signal(kind=SignalKind.ALERT, name=rng.choice(RULES), at=began, severity=severity, labels=labels)
    late = timedelta(seconds=rng.uniform(0, 90 if rng.random() < LATE else 5))
    return Sent(signal, began + late, cause)


def _noise(rng: random.Random, services: int) -> Sent:
    at = START + timedelta(seconds=rng.uniform(0, 150))
    labels = {"service": f"s{rng.randrange(services)}", "pod": str(rng.randrange(PODS))}
    signal = Signal(kind=SignalKind.ALERT, name="Restarted", at=at, severity=Severity.INFO, labels=labels)
    return Sent(signal, at, None)


def _batches(sent: Sequence[Sent], size: int) -> Iterator[Sequence[Sent]]:
    for begin in range(0, len(sent), size):
        yield sent[begin : begin + size]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many storms.")] = 20,
    services: Annotated[int, typer.Option(min=10)] = 60,
    causes: Annotated[int, typer.Option(min=1)] = 3,
    alerts: Annotated[int, typer.Option(min=10)] = 2000,
    batch: Annotated[int, typer.Option(min=1, help="Signals in one POST.")] = 50,
    slow: Annotated[float, typer.Option(min=0, help="Seconds by which the causes' own alerts come later.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print for each storm how many incidents it became, how pure they are, and whether the causes lead them."""
    rows = [tell_apart(seed, storm(seed, services, causes, alerts, slow), batch) for seed in range(seeds)]
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    for row in rows:
        typer.echo(
            f"seed {row.seed:3}: overlap {row.overlap:.2f}, {row.incidents} incidents ({row.opened} opened), "
            f"purity {row.purity:.3f}, explained {row.explained:.3f}, culprits right {row.top1:.2f}"
        )
    exact = sum(row.incidents == causes for row in rows)
    mean = [
        sum(values) / len(rows) for values in zip(*((row.purity, row.explained, row.top1) for row in rows), strict=True)
    ]
    typer.echo(
        f"{exact} of {len(rows)} storms of {alerts} alerts over {services} services became {causes} incidents; "
        f"purity {mean[0]:.3f}, explained {mean[1]:.3f}, first culprits right {mean[2]:.3f}"
    )


if __name__ == "__main__":
    typer.run(main)
