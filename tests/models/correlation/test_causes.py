"""Several causes in one connected topology: each has its incident, whatever the order and the batches."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from evals.storm import storm, tell_apart
from models.correlation import Memory, correlate
from models.domain.base import Severity
from models.domain.incident import IncidentStatus
from models.domain.signal import Signal, SignalKind
from models.domain.topology import Service, Topology

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=5)
# The front depends on two databases through two services of the middle.
TOPOLOGY = Topology(
    services={
        "front": Service(depends_on=("left", "right")),
        "left": Service(depends_on=("left-db",)),
        "right": Service(depends_on=("right-db",)),
        "left-db": Service(),
        "right-db": Service(),
    }
)


def alert(service, seconds=0.0, name="Slow", **labels):
    at = START + timedelta(seconds=seconds)
    labels = {"service": service, **labels}
    return Signal(kind=SignalKind.ALERT, name=name, at=at, severity=Severity.CRITICAL, labels=labels)


def play(batches, statuses=None):
    """The incidents that remain after all batches, by identifier, and how many were opened."""
    active, memory, opened = {}, Memory(), 0
    for batch in batches:
        now = max(signal.at for signal in batch)
        found = correlate(batch, list(active.values()), [], TOPOLOGY, now=now, window=WINDOW, memory=memory)
        memory = found.memory
        for incident in found.opened:
            opened += 1
            changes = {"id": f"INC-{opened}", **(statuses or {})}
            active[f"INC-{opened}"] = incident.model_copy(update=changes)
        active |= {incident.id: incident for incident in found.updated}
        for absorbed, _ in found.merged:
            del active[absorbed]
    return active, opened


def origins(active):
    return sorted(incident.culprit.service for incident in active.values())


def test_two_databases_below_one_front_are_two_causes():
    both = [alert("left-db"), alert("right-db", 1), alert("left", 2), alert("right", 2), alert("front", 3)]
    active, _ = play([both])
    assert origins(active) == ["left-db", "right-db"]
    assert {frozenset(i.services) - {"front"} for i in active.values()} == {
        frozenset({"left-db", "left"}), frozenset({"right-db", "right"}),
    }  # fmt: skip


def test_one_of_them_explains_all_above_it():
    active, _ = play([[alert("left-db"), alert("left", 2), alert("front", 3)]])
    assert origins(active) == ["left-db"]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size", [1, 2, 12])
def test_any_order_and_any_batches_give_the_same_causes(seed, size):
    signals = [
        alert(service, second, name)
        for service, second in (("left-db", 0), ("right-db", 5), ("left", 8), ("right", 9), ("front", 12))
        for name in ("Slow", "Failing")
    ]
    random.Random(seed).shuffle(signals)
    active, _ = play([signals[begin : begin + size] for begin in range(0, len(signals), size)])
    assert origins(active) == ["left-db", "right-db"]


def test_consequences_that_came_first_are_merged_into_their_cause():
    above = Topology(services={"a": Service(depends_on=("db",)), "b": Service(depends_on=("db",)), "db": Service()})
    first = correlate([alert("a"), alert("b")], [], [], above, now=START, window=WINDOW)
    active = [one.model_copy(update={"id": f"INC-{n}"}) for n, one in enumerate(first.opened, 1)]
    assert len(active) == 2
    later = correlate([alert("db", 20)], active, [], above, now=START + timedelta(seconds=20), window=WINDOW)
    [home] = later.updated
    assert set(home.services) == {"a", "b", "db"}
    assert later.merged == ((({"INC-1", "INC-2"} - {home.id}).pop(), home.id),)

    taken = [one.model_copy(update={"status": IncidentStatus.MITIGATING}) for one in active]
    left_alone = correlate([alert("db", 20)], taken, [], above, now=START + timedelta(seconds=20), window=WINDOW)
    assert left_alone.merged == ()


def test_the_cause_is_kept_where_the_incident_is_full():
    storm_above = [alert("left", number / 100, pod=str(number)) for number in range(1500)]
    active, _ = play([storm_above, [alert("left-db", 20)]])
    assert origins(active) == ["left-db"]


@pytest.mark.parametrize(("seed", "batch", "slow"), [(3, 50, 0.0), (16, 50, 60.0), (4, 5000, 0.0)])
def test_storms_over_random_graphs_become_an_incident_for_each_cause(seed, batch, slow):
    told = tell_apart(seed, storm(seed, slow=slow), batch)
    assert (told.incidents, told.top1) == (3, 1.0)
    assert told.explained > 0.98
