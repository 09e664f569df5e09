from datetime import UTC, datetime, timedelta

import pytest

from models.correlation import Memory, correlate, impact_of, quiet, signal_of
from models.domain.base import Severity
from models.domain.incident import IncidentStatus
from models.domain.signal import Anomaly, Signal, SignalKind
from models.domain.topology import Service, Topology

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def anomaly(metric, direction, seconds=0.0, p=1e-9, observed=0.0, **labels) -> Anomaly:
    return Anomaly(
        labels={"__name__": metric, "environment": "sandbox", **labels},
        at=at(seconds),
        score=0.9,
        p_value=p,
        observed=observed,
        expected=1.0,
        lower=0.9,
        upper=1.1,
        direction=direction,
    )


def alert(name, seconds=0.0, status="firing", severity=Severity.CRITICAL, **labels) -> Signal:
    return Signal(kind=SignalKind.ALERT, name=name, at=at(seconds), status=status, severity=severity, labels=labels)


@pytest.fixture
def topology() -> Topology:
    return Topology(
        services={
            "shop": Service(depends_on=("orders-db",), environment="sandbox", labels={"process": "shop"}),
            "orders-db": Service(environment="sandbox", labels={"process": "postgres"}),
            "mail": Service(environment="sandbox"),
        }
    )


def run(signals, active=(), recent=(), topology=None, seconds=0.0, **more):
    return correlate(signals, active, recent, topology, now=at(seconds), window=WINDOW, **more)


def stored(incident, **changes):
    return incident.model_copy(update={"id": "INC-1", **changes})


def db_down(seconds=0.0):
    return signal_of(anomaly("pg_up", "down", seconds, service="orders-db", process="postgres"))


def shop_errors(seconds=0.0, p=1e-15):
    return signal_of(anomaly("http_requests_total", "up", seconds, p=p, service="shop", process="shop", code="500"))


def test_signal_of_an_anomaly_names_metric_and_direction():
    signal = db_down()
    assert signal.name == "pg_up down"
    assert signal.metric == "pg_up"
    assert signal.service == "orders-db"
    assert signal.severity is Severity.CRITICAL
    assert signal.direction == "down"
    assert "pg_up is 0; expected 1" in signal.text


def test_connected_services_become_one_incident_about_the_culprit(topology):
    result = run([shop_errors(0), db_down(2)], topology=topology, seconds=3)
    [incident] = result.opened
    assert set(incident.services) == {"shop", "orders-db"}
    assert incident.culprit is not None
    assert incident.culprit.service == "orders-db"
    assert incident.title == "orders-db: pg_up down"
    assert incident.labels["process"] == "postgres"
    assert incident.severity is Severity.CRITICAL
    assert incident.environment == "sandbox"
    assert incident.started_at == at(0)
    assert incident.detected_at == at(3)
    assert incident.id == ""


def test_later_signal_of_a_connected_service_joins_and_a_stranger_does_not(topology):
    first = stored(run([shop_errors()], topology=topology).opened[0])
    mail = signal_of(anomaly("up", "down", 10, service="mail"))
    result = run([db_down(10), mail], active=[first], topology=topology, seconds=10)
    assert [incident.id for incident in result.updated] == ["INC-1"]
    assert result.updated[0].culprit.service == "orders-db"
    assert [incident.services for incident in result.opened] == [("mail",)]


def test_other_environment_and_long_after_stay_apart(topology):
    first = stored(run([shop_errors()], topology=topology).opened[0])
    elsewhere = db_down(5).model_copy(update={"labels": {"service": "orders-db", "environment": "production"}})
    assert len(run([elsewhere], active=[first], topology=topology, seconds=5).opened) == 1
    assert len(run([db_down(900)], active=[first], topology=topology, seconds=900).opened) == 1


def test_repeats_never_grow_an_incident(topology):
    incident = stored(run([db_down()], topology=topology).opened[0])
    for second in range(1, 200):
        incident = run([db_down(second)], active=[incident], topology=topology, seconds=second).updated[0]
    assert [signal.at for signal in incident.signals] == [at(0), at(199)]
    assert len(incident.timeline) == 2


def test_late_signal_moves_the_start_and_not_the_latest(topology):
    incident = stored(run([db_down(60)], topology=topology, seconds=60).opened[0])
    updated = run([db_down(30)], active=[incident], topology=topology, seconds=61).updated[0]
    assert updated.started_at == at(30)
    assert [signal.at for signal in updated.signals] == [at(30), at(60)]


def test_order_of_signals_in_one_call_does_not_matter(topology):
    signals = [shop_errors(0), db_down(2), signal_of(anomaly("db_errors_total", "up", 1, service="shop"))]
    one = run(signals, topology=topology, seconds=3).opened
    other = run(reversed(signals), topology=topology, seconds=3).opened
    assert one == other


def test_lone_weak_anomaly_waits_until_another_agrees(topology):
    slow = signal_of(anomaly("pg_query_seconds", "up", 0, p=1e-9, service="orders-db"))
    first = run([slow], topology=topology)
    assert first.opened == ()
    assert first.pending == (slow,)
    full = signal_of(anomaly("db_pool_in_use", "up", 20, p=1e-9, service="shop"))
    second = run([full], topology=topology, seconds=20, memory=first.memory)
    assert len(second.opened) == 1
    assert second.pending == ()
    assert {signal.name for signal in second.opened[0].signals} == {"pg_query_seconds up", "db_pool_in_use up"}


def full(seconds, p=1e-12):
    return signal_of(anomaly("pg_connections", "up", seconds, p=p, service="orders-db", process="postgres"))


def each_second(signal_at, seconds, memory=None, topology=None, **more):
    """The results of ticks from `seconds[0]` on, one call each, as they come."""
    results = []
    for tick in range(*seconds):
        results.append(run([signal_at(tick)], topology=topology, seconds=tick, memory=memory, **more))
        memory = results[-1].memory
    return results


def test_fullness_that_lasts_opens_alone_though_its_p_value_falls_no_further(topology):
    results = each_second(full, (0, 30), topology=topology)
    assert [bool(result.opened) for result in results[:20]] == [False] * 19 + [True]
    short = each_second(full, (0, 10), topology=topology)
    again = each_second(full, (100, 115), memory=short[-1].memory, topology=topology)
    assert not any(result.opened for result in again), "a pause begins anew"
    weak = each_second(lambda tick: full(tick, p=1e-6), (0, 60), topology=topology)
    assert not any(result.opened for result in weak)


def test_fullness_that_lasts_reopens_an_incident_that_ended_before_it(topology):
    before = each_second(full, (0, 25), topology=topology)
    past = stored(next(r.opened[0] for r in before if r.opened), status=IncidentStatus.RESOLVED, ended_at=at(60))
    results = each_second(full, (200, 225), memory=before[-1].memory, topology=topology, recent=[past])
    assert [bool(result.reopened) for result in results[:20]] == [False] * 19 + [True]


def test_slowness_that_lasts_waits_for_a_witness(topology):
    slow = each_second(
        lambda tick: signal_of(anomaly("pg_query_seconds", "up", tick, p=1e-12, service="orders-db")),
        (0, 60), topology=topology,
    )  # fmt: skip
    assert not any(result.opened for result in slow)


def test_weak_anomalies_that_are_no_two_witnesses_open_nothing(topology):
    harmless = [
        signal_of(anomaly("http_requests_total", "up", 0, service="shop", code="200")),
        signal_of(anomaly("process_cpu_seconds_total", "up", 0, service="shop")),
        signal_of(anomaly("scrape_duration_seconds", "up", 0, service="shop")),
        signal_of(anomaly("http_request_duration_seconds_sum", "up", 0, service="shop", path="/a")),
        signal_of(anomaly("http_request_duration_seconds_sum", "up", 0, service="shop", path="/b")),
    ]
    result = run(harmless, topology=topology)
    assert result.opened == ()
    gone = run([], topology=topology, seconds=301, memory=result.memory)
    assert gone.pending == ()


def test_info_alert_opens_nothing_and_warning_does(topology):
    assert run([alert("Watchdog", severity=Severity.INFO)], topology=topology).opened == ()
    assert len(run([alert("SlowShop", severity=Severity.WARNING, service="shop")], topology=topology).opened) == 1


def test_resolved_alert_updates_and_never_opens(topology):
    assert run([alert("ShopDown", status="resolved", service="shop")], topology=topology).opened == ()
    incident = stored(run([alert("ShopDown", service="shop")], topology=topology).opened[0])
    over = alert("ShopDown", 30, status="resolved", service="shop")
    updated = run([over], active=[incident], topology=topology, seconds=30).updated[0]
    assert quiet([updated], at(31), timedelta(minutes=5)) == (updated,)


def test_flapping_fingerprint_opens_no_further_incident(topology):
    memory = Memory()
    opened = 0
    for turn in range(12):
        status = "firing" if turn % 2 == 0 else "resolved"
        signal = alert("Flappy", turn * 60, status=status, service="mail")
        result = run([signal], topology=topology, seconds=turn * 60, memory=memory)
        memory, opened = result.memory, opened + len(result.opened)
    assert opened == 3
    assert result.flapping == {signal.fingerprint}
    calm = run([alert("Flappy", 6000, service="mail")], topology=topology, seconds=6000, memory=memory)
    assert len(calm.opened) == 1


def ended(incident, seconds):
    return stored(incident, status=IncidentStatus.RESOLVED, ended_at=at(seconds))


def test_same_fingerprint_soon_after_the_end_reopens(topology):
    past = ended(run([db_down()], topology=topology).opened[0], 60)
    result = run([db_down(300)], recent=[past], topology=topology, seconds=300)
    assert result.opened == ()
    [again] = result.reopened
    assert again.id == "INC-1"
    assert (again.status, again.episode) == (IncidentStatus.OPEN, 2)
    assert again.ended_at is None
    assert again.timeline[-2].kind == "reopened" or again.timeline[-1].kind == "reopened"


def test_late_signals_and_remnants_of_an_ended_incident_do_nothing(topology):
    first = run([db_down(), shop_errors()], topology=topology)
    past = ended(first.opened[0], 60)
    late = run([db_down(50), shop_errors(50)], recent=[past], topology=topology, seconds=61, memory=first.memory)
    assert (late.opened, late.reopened) == ((), ())
    fading = run([shop_errors(62)], recent=[past], topology=topology, seconds=62, memory=late.memory)
    assert (fading.opened, fading.reopened, fading.pending) == ((), (), ())


def test_harm_that_goes_on_after_the_end_reopens(topology):
    first = run([db_down()], topology=topology)
    past, memory, reopened = ended(first.opened[0], 10), first.memory, []
    for second in range(1, 100):
        result = run([db_down(second)], recent=[past], topology=topology, seconds=second, memory=memory)
        memory = result.memory
        if result.reopened:
            reopened.append(second)
            break
    assert reopened == [71]


def test_what_falls_again_after_it_was_up_reopens_at_once(topology):
    first = run([db_down()], topology=topology)
    memory = first.memory
    for second in (1, 2, 3):
        memory = run([db_down(second)], recent=[], topology=topology, seconds=second, memory=memory).memory
    past = ended(first.opened[0], 12)
    again = run([db_down(20)], recent=[past], topology=topology, seconds=20, memory=memory)
    assert [incident.id for incident in again.reopened] == ["INC-1"]


def slow(service, seconds):
    return signal_of(anomaly("http_request_duration_seconds_sum", "up", seconds, p=1e-9, service=service))


@pytest.mark.parametrize(("silence", "seen"), [(15, {"shop"}), (25, {"shop", "orders-db"})])
def test_what_was_slow_in_an_incident_that_ended_is_a_sign_of_the_next_once_it_was_well_between(
    topology, silence, seen
):
    first = run([slow("orders-db", 0), shop_errors()], topology=topology)
    memory = first.memory
    for second in range(1, 10):
        memory = run([slow("orders-db", second)], topology=topology, seconds=second, memory=memory).memory
    past, now = ended(first.opened[0], 12), 9 + silence
    other = signal_of(anomaly("pg_connections", "up", now, service="shop"))
    signals = [slow("orders-db", now), slow("shop", now), other]
    [opened] = run(signals, recent=[past], topology=topology, seconds=now, memory=memory).opened
    assert {signal.service for signal in opened.signals} == seen


def test_long_after_the_end_a_new_incident_opens(topology):
    past = ended(run([db_down()], topology=topology).opened[0], 60)
    result = run([db_down(7200)], recent=[past], topology=topology, seconds=7200)
    assert result.reopened == ()
    assert len(result.opened) == 1


def test_quiet_waits_for_silence_and_leaves_incidents_in_work(topology):
    incident = stored(run([db_down()], topology=topology).opened[0])
    assert quiet([incident], at(299), timedelta(minutes=5)) == ()
    assert quiet([incident], at(300), timedelta(minutes=5)) == (incident,)
    working = stored(incident, status=IncidentStatus.MITIGATING)
    assert quiet([working], at(3000), timedelta(minutes=5)) == ()


def test_while_people_are_asked_an_alert_that_was_sent_once_is_not_over(topology):
    asked = {"status": IncidentStatus.AWAITING_APPROVAL}
    measured = stored(run([db_down()], topology=topology).opened[0], **asked)
    assert quiet([measured], at(300), timedelta(minutes=5)) == (measured,)
    told = run([alert("ShopDown", service="shop")], topology=topology).opened[0]
    assert quiet([stored(told, **asked)], at(3000), timedelta(minutes=5)) == ()
    over = told.model_copy(update={"signals": (*told.signals, alert("ShopDown", 10, "resolved", service="shop"))})
    assert quiet([stored(over, **asked)], at(10), timedelta(minutes=5)) != ()


def test_a_storm_of_2000_alerts_is_one_incident_a_cause():
    # Three causes: in each third of the services everything depends on one.
    services = {f"s{i}": Service(depends_on=(f"s{i // 20 * 20}",) if i % 20 else ()) for i in range(60)}
    signals = [alert(f"A{n}", n / 100, service=f"s{n % 60}", pod=str(n)) for n in range(2000)]
    result = run(signals, topology=Topology(services=services), seconds=21)
    assert sorted(len(incident.services) for incident in result.opened) == [20, 20, 20]
    assert all(len(incident.signals) <= 1000 for incident in result.opened)
    assert sum(entry.data["signals"] for i in result.opened for entry in i.timeline if "signals" in entry.data) == 2000


def test_impact_names_the_services_downstream_and_the_share(topology):
    incident = run([db_down()], topology=topology).opened[0]
    impact = impact_of(incident, topology, 0.25)
    assert impact.services == ("orders-db",)
    assert impact.downstream == ("shop",)
    assert impact.failing_share == 0.25
    assert impact.summary == "orders-db affected; shop depends on that; 25.0% of requests fail"


def test_signals_without_service_group_by_name_only():
    result = run([alert("DiskFull", 0), alert("DiskFull", 1, host="b"), alert("Other", 2)], topology=Topology())
    assert sorted(len(incident.signals) for incident in result.opened) == [1, 2]
