"""Standing checks on both databases: what violates one opens an incident, once, and ends with it."""

from dataclasses import replace

import pytest

from models.domain.signal import SignalKind

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def pods(site, **used):
    for pod, value in used.items():
        site.gauge("memory_used", value, service="shop", pod=pod)
        site.gauge("memory_limit", 100.0, service="shop", pod=pod)


def test_each_row_that_violates_is_a_signal_until_it_holds_again(site):
    pods(site, a=95.0, b=50.0)
    site.measure()
    (incident,) = site.incidents()
    (signal,) = incident.signals
    assert (signal.kind, signal.service, signal.value) == (SignalKind.POLICY, "shop", 0.95)
    assert signal.labels == {"service": "shop", "pod": "a", "check": "memory-near-limit"}
    assert signal.text == 'raise the limit: 0.95 for {pod="a", service="shop"}'
    assert site.status().state == "violated"

    site.wait(minutes=1)
    pods(site, a=50.0, b=50.0)
    site.measure()
    assert site.incidents()[0].signals[-1].status == "resolved"
    assert site.status().state == "ok"


def test_two_replicas_measure_once(build, site):
    asked = []

    class Counted:
        name = "counted"

        def query(self, expression, at):
            asked.append(expression)
            return []

    site.keepers.append(build().standing_keeper)
    for keeper in site.keepers:
        keeper._means = replace(keeper._means, source=Counted())
    site.measure()
    assert len(asked) == 1
    for keeper in site.keepers:
        keeper.tick()  # a minute has not passed
    assert len(asked) == 1


def test_a_replica_that_was_overtaken_writes_nothing(build, site):
    """It measured for longer than the interval: meanwhile another one has measured, and found it well."""
    pods(site, a=50.0)
    quick, source = build().standing_keeper, site.parts.source

    class Slow:
        name = "slow"

        def query(self, expression, at):
            slow, site.keepers = site.keepers, [quick]
            site.measure()
            site.keepers = slow
            return [sample.model_copy(update={"value": 0.99}) for sample in source.query(expression, at)]

    keeper = site.parts.standing_keeper
    keeper._means = replace(keeper._means, source=Slow())
    site.measure()
    assert site.incidents() == []
    assert site.status().state == "ok"


@ON_SQLITE
def test_what_cannot_be_measured_is_not_taken_for_good(site):
    pods(site, a=95.0)
    site.measure()
    site.wait(minutes=6)  # no sample for longer than the lookback
    site.measure()
    status = site.status()
    assert (status.state, status.problem) == ("violated", "there is no data")
    assert site.incidents()[0].signals[-1].status == "firing"


@ON_SQLITE
def test_one_row_that_is_not_known_hides_no_other(site):
    pods(site, a=95.0)
    site.gauge("memory_used", 0.0, service="shop", pod="c")
    site.gauge("memory_limit", 0.0, service="shop", pod="c")
    site.measure()
    assert site.status().violations[0].labels["pod"] == "a"
    assert "1 of 2 rows are not known: NaN" in site.status().problem


@ON_SQLITE
def test_what_holds_is_repeated_so_that_its_incident_stays(build, site):
    pods(site, a=95.0)
    site.measure()
    (incident,) = site.incidents()
    for status in ("investigating", "escalated"):
        site.parts.incidents.transition(incident.id, status, "nothing fits")
    for _ in range(10):
        site.wait(minutes=1)
    assert site.incidents()[0].status == "escalated"


def test_an_incident_that_ended_is_not_opened_again_by_repeating(site):
    pods(site, a=95.0)
    site.measure()
    (incident,) = site.incidents()
    site.parts.incidents.transition(incident.id, "resolved", "mended")
    site.wait(minutes=2)
    assert site.incidents()[0].status == "resolved"
    pods(site, a=96.0)
    site.measure()  # it was not mended
    assert site.incidents()[0].status == "open"


@ON_SQLITE
def test_what_a_person_closed_stays_closed_for_a_day(site):
    pods(site, a=95.0)
    site.measure()
    site.parts.incidents.transition(site.incidents()[0].id, "closed", "known, and accepted")
    site.wait(minutes=2)
    pods(site, a=95.0)
    site.measure()
    assert [one.status for one in site.incidents()] == ["closed"]
    assert site.status().state == "violated"
    site.wait(hours=25)
    pods(site, a=95.0)
    site.measure()
    assert [one.status for one in site.incidents()] == ["open", "closed"]


@ON_SQLITE
def test_a_check_that_was_removed_or_renamed_ends_what_it_said(site, file):
    pods(site, a=95.0)
    site.measure()
    file.write_text(file.read_text().replace("memory-near-limit", "memory"))
    site.measure()
    site.measure()
    signals = site.incidents()[0].signals
    assert {signal.labels["check"]: signal.status for signal in signals} == {
        "memory-near-limit": "resolved", "memory": "firing"
    }  # fmt: skip


@ON_SQLITE
def test_many_violations_are_bounded_and_counted(site):
    pods(site, **{f"p{number}": 99.0 for number in range(60)})
    site.measure()
    assert len(site.status().violations) == 50
    assert "and 10 more" in site.status().violations[-1].text


@ON_SQLITE
def test_a_restart_forgets_nothing(build, site, clock):
    pods(site, a=95.0)
    site.measure()
    again = type(site)(build(), clock)
    assert again.status().state == "violated"
    pods(again, a=10.0)
    again.measure()
    assert again.incidents()[0].signals[-1].status == "resolved"
