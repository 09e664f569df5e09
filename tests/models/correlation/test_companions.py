"""What was learned of pairs of kinds: it joins, parts, fades, and is told."""

from datetime import UTC, datetime, timedelta

import pytest

from models.correlation import correlate
from models.correlation.companions import HALF_LIFE, PERSON, RESOLVED, Companions, kind_of, learned, within
from models.domain.base import Severity
from models.domain.signal import Signal, SignalKind
from models.domain.topology import Service, Topology

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOPOLOGY = Topology(services={"shop": Service(depends_on=("db",)), "db": Service(), "mail": Service()})


def alert(service, seconds=0.0):
    at = START + timedelta(seconds=seconds)
    return Signal(kind=SignalKind.ALERT, name="Down", at=at, severity=Severity.CRITICAL, labels={"service": service})


def known(*services, now=START, **counts):
    pairs = learned({}, within([alert(service) for service in services]), START, **counts)
    return Companions(pairs, now)


def services_of(incidents):
    return sorted(sorted(incident.services) for incident in incidents)


def opened(companions, *services):
    signals = [alert(service) for service in services]
    found = correlate(
        signals, [], [], TOPOLOGY, now=START, window=timedelta(minutes=5), companions=companions
    )  # fmt: skip
    return services_of(found.opened)


def test_what_people_merged_before_is_one_incident_though_nothing_connects_it():
    assert opened(None, "shop", "mail") == [["mail"], ["shop"]]
    assert opened(known("shop", "mail", together=PERSON), "shop", "mail") == [["mail", "shop"]]


def test_what_people_split_before_is_two_though_one_depends_on_the_other():
    assert opened(None, "shop", "db") == [["db", "shop"]]
    assert opened(known("shop", "db", apart=PERSON), "shop", "db") == [["db"], ["shop"]]


@pytest.mark.parametrize(("days", "joined"), [(0, True), (120, True), (200, False)])
def test_a_persons_word_fades(days, joined):
    companions = known("shop", "mail", together=PERSON, now=START + timedelta(days=days))
    assert (opened(companions, "shop", "mail") == [["mail", "shop"]]) is joined


def test_incidents_that_ended_say_it_together_once_there_are_four():
    pairs = {}
    for times in range(1, 5):
        new = learned(pairs, within([alert("shop"), alert("mail")]), START, together=RESOLVED)
        pairs = {(pair.one, pair.other): pair for pair in new}
        assert (opened(Companions(new, START), "shop", "mail") == [["mail", "shop"]]) is (times == 4)


def test_a_merge_and_a_split_cancel_each_other():
    assert opened(known("shop", "mail", together=PERSON, apart=PERSON), "shop", "mail") == [["mail"], ["shop"]]
    assert opened(known("shop", "db", together=PERSON, apart=PERSON), "shop", "db") == [["db", "shop"]]


def test_a_later_signal_joins_and_the_timeline_says_why():
    companions = known("shop", "mail", together=PERSON)
    more = {"now": START, "window": timedelta(minutes=5), "companions": companions}
    first = correlate([alert("shop")], [], [], TOPOLOGY, **more).opened[0].model_copy(update={"id": "INC-1"})
    [joined] = correlate([alert("mail", 5)], [first], [], TOPOLOGY, **more).updated
    assert joined.timeline[-1].data["because"] == {"was in one incident with Down of shop before": 1}
    [connected] = correlate([alert("db", 5)], [first], [], TOPOLOGY, **more).updated
    assert connected.timeline[-1].data["because"] == {"is connected to shop": 1}


def test_counts_fade_by_half_in_90_days_and_kinds_are_bounded():
    [pair] = learned({}, within([alert("a"), alert("b")]), START, together=4.0)
    assert pair.faded(START + HALF_LIFE).together == pytest.approx(2.0)
    assert pair.faded(START - HALF_LIFE).together == 4.0, "a clock that went back adds nothing"
    assert len(kind_of(alert("x" * 9000))) == 300
    assert len(list(within([alert(f"s{n}") for n in range(500)]))) == 66
