"""Objectives on both databases: what burns opens an incident, once over all replicas, and a restart forgets nothing."""

from datetime import timedelta

import pytest

from models.domain.signal import SignalKind


def test_an_outage_pages_within_minutes_and_resolves_when_it_is_over(shop):
    shop.rest(30)
    assert shop.status().state == "ok"
    assert shop.status().budget_left == 1

    shop.run(3, errors=1.0)
    (incident,) = shop.incidents()
    signal = incident.signals[-1]
    assert (signal.kind, signal.service, signal.severity) == (SignalKind.SLO, "shop", "critical")
    assert incident.environment == "production"
    assert "Page: it burns" in signal.text
    assert "of the error budget is left" in signal.text
    assert shop.status().state == "page"

    shop.errors = 0.0
    shop.rest(33)  # the slower page looks back for half an hour
    (incident,) = shop.incidents()
    assert incident.signals[-1].status == "resolved"
    assert shop.status().state == "ok"  # the tickets are reached too, by errors that were told


def test_two_replicas_tell_once_a_minute(build, shop):
    shop.keepers.append(build().slo_keeper)
    shop.rest(30)
    shop.run(8, errors=1.0)
    incident = shop.parts.incidents.get(shop.incidents()[0].id)
    assert len({signal.fingerprint for signal in incident.signals}) == 1
    assert len(incident.signals) == 2  # the first and the latest
    status = shop.status()
    assert status.events == pytest.approx(38 * 600)


def test_a_restart_keeps_the_budget_and_what_fired_though_the_samples_are_gone(build, shop):
    shop.rest(60)
    shop.run(6, errors=0.5)
    before = shop.status()
    assert before.state == "page"

    shop.parts.samples.prune()
    again = build(retention="4m")
    again.samples.prune()
    shop.parts, shop.keepers = again, [again.slo_keeper]
    shop.run(2)
    assert shop.status().budget_left == pytest.approx(1 - (8 * 600 * 0.5) / (68 * 600) / 0.001, rel=0.05)
    assert shop.status().state == "page"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_slow_requests_burn_the_budget_of_latency(shop):
    shop.rest(30)
    shop.run(4, slow=0.5)
    (incident,) = shop.incidents()
    assert incident.signals[0].labels["slo"] == "shop-latency"
    assert shop.status().state == "ok"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_slow_burn_is_a_ticket_after_hours(shop):
    shop.rest(60)
    shop.errors = 0.004  # four times the budget: too slow for a page
    shop.rest(90)
    assert [alert.firing for alert in shop.status().alerts] == [False, False, False, True]
    (incident,) = shop.incidents()
    assert incident.severity == "warning"
    assert shop.status().state == "ticket"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_measured_is_not_taken_for_good(shop):
    shop.rest(30)
    shop.run(5, errors=1.0)
    shop.scraped = False
    shop.run(15)
    (incident,) = shop.incidents()
    assert incident.signals[-1].status == "firing"
    assert "cannot be measured" in incident.signals[-1].text
    assert shop.status().state == "page"
    assert "no series matches" in shop.status().problem

    shop.scraped = True
    shop.errors = 0.0
    shop.rest(35)
    assert shop.incidents()[0].signals[-1].status == "resolved"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_minute_that_was_missed_is_counted_afterwards(shop, clock):
    shop.rest(30)
    keeper, shop.keepers = shop.keepers[0], []
    shop.run(20, errors=0.25)  # scraped, but nobody looks: the service was restarting
    shop.keepers = [keeper]
    shop.run(1)
    assert shop.status().events == pytest.approx(51 * 600)
    assert shop.status().budget_left == pytest.approx(1 - 21 * 0.25 / 51 / 0.001)


def test_an_objective_that_was_removed_ends_what_it_said(shop, slo_file):
    shop.rest(10)
    shop.run(5, errors=1.0)
    assert shop.incidents()
    slo_file.write_text("slos: []\n")
    shop.run(1)
    signal = shop.incidents()[0].signals[-1]
    assert (signal.status, signal.text) == ("resolved", "The objective was removed.")
    assert shop.parts.slos.status() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_used_any_more_leaves_what_was_read(shop, slo_file):
    shop.run(5)
    slo_file.write_text("slos: [{id: shop}]\n")
    shop.run(5, errors=1.0)
    assert shop.status().state == "page"
    assert f"{slo_file}:1" in shop.parts.slos.problem


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_bucket_that_does_not_exist_is_said(shop, slo_file):
    slo_file.write_text(slo_file.read_text().replace("threshold: 0.25", "threshold: 0.3"))
    shop.run(2)
    assert 'no bucket le="0.3"' in shop.status("shop-latency").problem
    assert shop.status("shop-latency").state == "unknown"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_share_of_the_budget_that_an_incident_burned(shop, clock):
    shop.rest(60)
    began = clock()
    shop.run(5, errors=1.0)
    burned = shop.parts.slos.burned(["shop"], began)
    assert burned == {"Requests of the shop succeed": pytest.approx(5 / 65 / 0.001)}
    assert shop.parts.slos.burned(["mail"], began) == {}


def test_an_incident_that_ended_comes_back_only_by_what_happened_since(shop):
    """A remedy was verified: the alerts are reached for hours by errors that are over."""
    shop.rest(20)
    shop.run(10, errors=1.0)
    (incident,) = shop.incidents()
    shop.parts.incidents.transition(incident.id, "resolved", "mended")
    shop.run(15, errors=0.0)
    assert [one.status for one in shop.incidents()] == ["resolved"]
    assert shop.status().state == "ok"
    assert shop.status().alerts[0].burn_long > 14.4

    shop.run(3, errors=1.0)
    (incident,) = shop.incidents()
    assert (incident.status, incident.episode) == ("open", 2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_past_that_the_source_knows_is_counted_by_the_hour(build, shop, clock):
    """As with a Prometheus that was there before Suture."""
    parts = build(retention="30d")
    shop.parts, shop.keepers = parts, []
    shop.parts.samples.prune()
    for _ in range(30):
        for _ in range(4):  # every quarter of an hour
            clock.now += timedelta(minutes=14)
            shop.per_minute = 9000.0  # of the whole quarter
            shop.run(1, errors=0.0005)
    shop.keepers = [parts.slo_keeper]
    for _ in range(3):
        clock.now += timedelta(seconds=61)
        parts.slo_keeper.tick()
    status = shop.status()
    assert status.measured > 0.03  # a day and more of thirty
    assert status.budget_left == pytest.approx(0.5, abs=0.02)
