"""The way in, on both databases: receipts, reopening, quiet, what waits, restarts, and writers at the same time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.detection.batch import Batch
from models.domain.base import Severity
from models.domain.errors import Unavailable
from models.domain.incident import IncidentStatus as S
from models.domain.signal import Anomaly, Signal, SignalKind


@pytest.fixture
def parts(build):
    return build()


@pytest.fixture
def alert(clock):
    def alert(name="ShopDown", service="shop", *, status="firing", severity=Severity.CRITICAL, **labels):
        return Signal(
            kind=SignalKind.ALERT, name=name, at=clock(), status=status, severity=severity,
            labels={"service": service, **labels},
        )  # fmt: skip

    return alert


def anomaly(metric, at, service="shop"):
    """Weak: one alone opens nothing, two different ones do."""
    labels = {"__name__": metric, "service": service}
    found = Anomaly(
        labels=labels, at=at, score=0.9, p_value=1e-4, observed=2, expected=1, lower=0.5, upper=1.5, direction="up"
    )
    return Signal(
        kind=SignalKind.ANOMALY, name=f"{metric} up", at=at, metric=metric, labels={"service": service},
        severity=Severity.WARNING, anomaly=found,
    )  # fmt: skip


def test_each_signal_gets_a_receipt_in_order(parts, alert):
    first, other, over = alert(), alert("Disk", service="warehouse"), alert("Old", status="resolved")
    receipts = parts.intake.signals([first, over, other, first])
    assert [r.fingerprint for r in receipts] == [s.fingerprint for s in (first, over, other, first)]
    one, none, two, again = receipts
    assert one.incident == again.incident != two.incident
    assert (one.note, none.incident) == (f"part of {one.incident}", None)
    assert "it is resolved" in none.note
    assert {i.id for i in parts.incidents.page()} == {one.incident, two.incident}


def test_what_was_received_is_stored_before_the_receipt(parts, build, alert):
    incident = parts.intake.signals([alert()])[0].incident
    assert [signal.name for signal in build().incidents.get(incident).signals] == ["ShopDown"]


def test_a_signal_that_comes_back_reopens_the_incident_in_its_next_episode(parts, alert, clock):
    incident = parts.intake.signals([alert()])[0].incident
    parts.incidents.transition(incident, S.RESOLVED, "mended", actor="ann")
    clock.tick(minutes=5)
    assert parts.intake.signals([alert()])[0].incident == incident
    reopened = parts.incidents.get(incident)
    assert (reopened.status, reopened.episode, reopened.ended_at) == (S.OPEN, 2, None)
    assert parts.incidents.episodes([S.OPEN]) == [(incident, 2)]


def test_a_signal_that_comes_back_after_the_incident_was_closed_opens_another(parts, alert, clock):
    incident = parts.intake.signals([alert()])[0].incident
    parts.incidents.transition(incident, S.CLOSED, "known", actor="ann")
    clock.tick(minutes=5)
    assert parts.intake.signals([alert()])[0].incident not in {None, incident}


def test_only_what_was_handed_over_resolves_by_going_quiet(parts, alert, clock):
    mine, theirs = (parts.intake.signals([alert(service=name)])[0].incident for name in ("shop", "warehouse"))
    parts.incidents.transition(theirs, S.ESCALATED, "nobody knows")
    assert parts.intake.resolve_quiet() == []
    clock.tick(minutes=6)
    assert parts.intake.resolve_quiet() == [theirs]
    assert parts.incidents.get(mine).status is S.OPEN
    assert parts.intake.resolve_quiet() == []


def test_an_alert_that_says_resolved_ends_the_waiting_at_once(parts, alert):
    incident = parts.intake.signals([alert()])[0].incident
    parts.incidents.transition(incident, S.ESCALATED, "nobody knows")
    parts.intake.signals([alert(status="resolved")])
    assert parts.intake.resolve_quiet() == [incident]


def test_two_weak_anomalies_of_two_calls_open_one_incident_also_over_a_restart(parts, build, clock):
    receipt = parts.intake.signals([anomaly("http_request_duration_seconds_sum", clock())])[0]
    assert receipt.incident is None
    assert "waits for a second signal" in receipt.note
    clock.tick(seconds=15)
    restarted = build()
    second = restarted.intake.signals([anomaly("db_errors_total", clock())])[0]
    assert second.incident is not None
    assert len(restarted.incidents.get(second.incident).signals) == 2


def test_a_full_detector_says_so_once_and_counts(build, clock, caplog):
    from service.telemetry import Metrics

    parts = build(detector={"name": "lockstep", "config": {"max_series": 4}})
    parts.intake.start_detecting()
    series = tuple({"__name__": "g", "user": str(user)} for user in range(10))
    for tick in range(3):
        at = clock().timestamp() + tick
        parts.intake.telemetry([Batch(at=at, series=series, values=np.ones(10))])
    assert [line for line in caplog.messages if "max_series" in line] == [
        "the detector is full: it holds 4 series (detector.config.max_series), and 6 samples of further ones were not "
        "scored just now; suture_detector_samples_refused_total counts on"
    ]
    metrics = Metrics()
    parts.intake.room.register(metrics)
    text = metrics.exposition()[0].decode()
    assert "suture_detector_series 4.0" in text
    assert "suture_detector_samples_refused_total 18.0" in text


def test_a_process_that_does_not_detect_refuses_telemetry(parts, clock):
    batch = Batch(at=clock().timestamp(), series=({"__name__": "up"},), values=np.array([1.0]))
    with pytest.raises(Unavailable, match="role all or detector"):
        parts.intake.telemetry([batch])


def test_without_a_detector_telemetry_is_kept_for_checks(build, clock):
    parts = build(detector={"name": "off"})
    parts.intake.start_detecting()
    batch = Batch(at=clock().timestamp(), series=({"__name__": "pg_up"},), values=np.array([0.0]))
    assert parts.intake.telemetry([batch]) == []
    assert [sample.value for sample in parts.source.query("pg_up", clock())] == [0.0]


def test_a_detector_state_of_another_version_is_left_out(parts, caplog):
    parts.detector_states.save("lockstep", b"not a state")
    parts.intake.start_detecting()
    assert "starts afresh" in caplog.text


def test_the_detector_goes_on_from_what_it_knew(parts, build, clock):
    parts.intake.start_detecting()
    for _ in range(5):
        clock.tick(seconds=15)
        batch = Batch(at=clock().timestamp(), series=({"__name__": "up"},), values=np.array([1.0]))
        parts.intake.telemetry([batch])
    parts.intake.save_detector()
    restarted = build()
    restarted.intake.start_detecting()
    assert restarted.pipeline.detector.dump() == parts.pipeline.detector.dump()


def test_signals_are_taken_while_remediation_and_people_change_the_same_incidents(parts, alert):
    """None of them is refused, and nothing deadlocks."""
    incident = parts.intake.signals([alert()])[0].incident

    def send(number):
        assert parts.intake.signals([alert(f"More{number}")])[0].incident == incident

    def locate(_):
        parts.incidents.change(incident, parts.pipeline.localise)

    def advance(number):
        parts.incidents.advance(incident, 1, S.INVESTIGATING if number % 2 else S.AWAITING_APPROVAL, "on the way")

    def calm(_):
        parts.intake.resolve_quiet()

    def note(number):
        parts.incidents.record(incident, "note", "words", key=f"note-{number % 2}")

    parts.incidents.advance(incident, 1, S.INVESTIGATING, "on the way")
    with ThreadPoolExecutor(10) as pool:
        jobs = [pool.submit(job, number) for number in range(6) for job in (send, locate, advance, calm, note)]
        for job in jobs:
            job.result()
    assert len(parts.incidents.get(incident).signals) == 7
    assert parts.audit.verify().breaks == ()


def test_signals_that_reopen_do_not_deadlock_with_people_who_close(parts, alert, clock):
    ids = [parts.intake.signals([alert(service=f"s{number}")])[0].incident for number in range(6)]
    for incident in ids:
        parts.incidents.transition(incident, S.RESOLVED, "mended")
    clock.tick(minutes=5)

    def reopen(_):
        parts.intake.signals([alert(service=f"s{number}") for number in range(6)])

    def close(incident):
        parts.incidents.transition(incident, S.CLOSED, "enough")

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(reopen, 0), *(pool.submit(close, incident) for incident in ids), pool.submit(reopen, 1)]
        for job in jobs:
            job.result()
    assert {parts.incidents.get(incident).status for incident in ids} == {S.CLOSED}


@pytest.mark.parametrize("text", ["a\x00b", "\x00" * 50, "é" * 60_000, "<script>\r\n# x"])
def test_texts_of_the_outside_are_stored_as_they_are_but_for_nul(parts, clock, text):
    signal = Signal(
        kind=SignalKind.ALERT, name=text[:500], at=clock(), severity=Severity.CRITICAL, text=text,
        labels={"service": text[:200], "environment": text[:200], "odd\x00name": text},
    )  # fmt: skip
    incident = parts.intake.signals([signal])[0].incident
    assert parts.incidents.get(incident).signals[0].text == text.replace("\x00", "\ufffd")
    assert [found.id for found in parts.incidents.page(environment=parts.incidents.get(incident).environment)] == [
        incident
    ]


def test_a_label_longer_than_its_column_is_no_outage(parts, clock):
    signal = Signal(
        kind=SignalKind.ALERT, name="x", at=clock(), severity=Severity.CRITICAL,
        labels={"service": "s" * 5000, "environment": "e" * 5000},
    )  # fmt: skip
    incident = parts.intake.signals([signal])[0].incident
    assert parts.incidents.get(incident).environment == "e" * 5000


def test_incidents_that_turn_out_to_be_consequences_are_closed_into_their_cause(build, alert, tmp_path):
    topology = tmp_path / "topology.yaml"
    topology.write_text("services: {a: {depends_on: [db]}, b: {depends_on: [db]}, db: {}}")
    parts = build(topology=topology)
    one, other = (receipt.incident for receipt in parts.intake.signals([alert(service="a"), alert(service="b")]))
    assert one != other
    home = parts.intake.signals([alert("Down", "db")])[0].incident
    absorbed = parts.incidents.get(({one, other} - {home}).pop())
    assert absorbed.status is S.CLOSED
    assert f"merged into {home}" in absorbed.timeline[-1].text
    stored = parts.incidents.get(home)
    assert set(stored.services) == {"a", "b", "db"}
    assert stored.timeline[-1].data == {"from": absorbed.id}
    assert parts.intake.signals([alert(service="a"), alert(service="b")])[0].incident == home


def test_a_signal_beyond_what_an_incident_keeps_is_told_where_it_is(parts, alert):
    receipts = parts.intake.signals([alert(pod=str(number)) for number in range(700)])
    assert len({receipt.incident for receipt in receipts}) == 1
    assert receipts[-1].incident is not None
