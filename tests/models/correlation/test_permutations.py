"""The same signals in any order, in any batches, sent again, or too late, are the same incidents."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from models.correlation import Memory, correlate
from models.domain.base import Severity
from models.domain.signal import Signal, SignalKind
from models.domain.topology import Service, Topology

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=5)
TOPOLOGY = Topology(
    services={
        "front": Service(depends_on=("cart", "search")),
        "cart": Service(depends_on=("cart-db",)),
        "search": Service(depends_on=("index",)),
        "cart-db": Service(), "index": Service(), "mail": Service(),
    }
)  # fmt: skip


def alert(service, seconds, name="Down", status="firing"):
    return Signal(
        kind=SignalKind.ALERT, name=name, at=START + timedelta(seconds=seconds), status=status,
        severity=Severity.CRITICAL, labels={"service": service},
    )  # fmt: skip


SIGNALS = [
    *(alert("cart-db", second, name) for second, name in ((0, "Down"), (3, "Slow"))),
    *(alert("index", second, name) for second, name in ((4, "Down"), (6, "Full"))),
    alert("cart", 7), alert("search", 8), alert("front", 11), alert("front", 12, "Slow"), alert("mail", 20),
]  # fmt: skip


def played(batches, *, clock=None):
    """What is left open: by incident, its services, names and start; the front's may go to either cause."""
    active, memory, opened = {}, Memory(), 0
    for place, batch in enumerate(batches):
        now = clock(place) if clock else START + timedelta(seconds=30 + place)
        found = correlate(batch, list(active.values()), [], TOPOLOGY, now=now, window=WINDOW, memory=memory)
        memory = found.memory
        for incident in found.opened:
            opened += 1
            active[f"INC-{opened}"] = incident.model_copy(update={"id": f"INC-{opened}"})
        active |= {incident.id: incident for incident in found.updated}
        for absorbed, _ in found.merged:
            del active[absorbed]
    return {
        (
            incident.culprit.service,
            frozenset((s.service, s.name, s.at) for s in incident.signals if s.service != "front"),
        )
        for incident in active.values()
    }  # fmt: skip


def batched(signals, size):
    return [signals[begin : begin + size] for begin in range(0, len(signals), size)]


EXPECTED = played([SIGNALS])


def test_three_causes_are_three_incidents():
    assert {culprit for culprit, _ in EXPECTED} == {"cart-db", "index", "mail"}


@pytest.mark.parametrize("seed", range(40))
def test_any_order_any_batches_and_duplicates(seed):
    rng = random.Random(seed)
    signals = [*SIGNALS, *rng.choices(SIGNALS, k=seed % 7)]
    rng.shuffle(signals)
    assert played(batched(signals, rng.choice((1, 2, 3, 9)))) == EXPECTED


@pytest.mark.parametrize("seed", range(10))
def test_a_clock_that_jumps_changes_nothing(seed):
    rng = random.Random(seed)
    jumps = [timedelta(seconds=rng.choice((-90, -5, 0, 30, 120))) for _ in range(20)]
    assert played(batched(SIGNALS, 2), clock=lambda place: START + timedelta(seconds=30) + jumps[place]) == EXPECTED


def test_resolved_before_firing_opens_nothing_and_a_later_firing_does():
    early = correlate([alert("mail", 5, status="resolved")], [], [], TOPOLOGY, now=START, window=WINDOW)
    assert early.opened == ()
    more = {"window": WINDOW, "memory": early.memory}
    late = correlate([alert("mail", 0)], [], [], TOPOLOGY, now=START, **more)
    assert late.opened == (), "it fired before it was resolved: both came in the wrong order"
    again = correlate([alert("mail", 30)], [], [], TOPOLOGY, now=START + timedelta(seconds=30), **more)
    assert len(again.opened) == 1


def test_both_in_one_delivery_count_by_their_times():
    both = [alert("mail", 5, status="resolved"), alert("mail", 0)]
    for signals in (both, both[::-1]):
        assert correlate(signals, [], [], TOPOLOGY, now=START, window=WINDOW).opened == ()
    fired_again = [alert("mail", 0, status="resolved"), alert("mail", 5)]
    for signals in (fired_again, fired_again[::-1]):
        assert len(correlate(signals, [], [], TOPOLOGY, now=START, window=WINDOW).opened) == 1
