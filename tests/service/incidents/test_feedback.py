"""Feedback from both databases' point of view: what it changes, in a running detector, and how it is taken back."""

import numpy as np
import pytest
from starlette.testclient import TestClient

from models.detection.batch import Batch
from models.detection.feedback import SeriesClass, Verdict
from models.domain.errors import Conflict, NotFound
from service.api import create_api
from service.detector_view import in_force
from service.store.keys import Role
from tests.service.test_intake import anomaly

SHOP = {"__name__": "queue_wait_seconds", "service": "shop"}


@pytest.fixture
def opened(parts, clock):
    """Two weak anomalies open an incident; its number."""

    def opened(metric="queue_wait_seconds", service="shop"):
        signals = [anomaly(metric, clock(), service), anomaly("errors_total", clock(), service)]
        receipts = parts.intake.signals(signals)
        return parts.incidents.get(receipts[-1].incident)

    return opened


def take(parts):
    parts.intake.tune(in_force(parts.feedbacks.tolerances()))


def explained(parts, selector="queue_wait_seconds"):
    from service.detector_view import DetectorView

    with parts.intake.viewed() as (detector, as_of):
        return DetectorView("lockstep", detector, parts.feedbacks, as_of).explain(selector, 10)


def test_not_an_incident_widens_the_band_until_it_is_undone(parts, opened, clock):
    parts.intake.start_detecting()
    at, random = clock().timestamp(), np.random.default_rng(1)
    for tick in range(40):
        parts.intake.telemetry([Batch(at + tick, (SHOP,), random.normal(10, 1, 1))])
    [before] = explained(parts)
    given = parts.feedbacks.add(opened(), Verdict.NOT_AN_INCIDENT, "the backup", "ann")
    take(parts)
    [after] = explained(parts)
    width = (after.series.upper - after.series.lower) / (before.series.upper - before.series.lower)
    assert width == pytest.approx(1.5)
    assert (before.feedback, after.feedback.feedback[0].by, after.feedback.tolerance) == (None, "ann", 1.5)
    parts.feedbacks.undo(given.id, "bob")
    take(parts)
    assert explained(parts)[0].series.upper == pytest.approx(before.series.upper)
    events = [entry.event for entry in parts.audit.entries(subject=given.id)]
    assert events == ["feedback.given", "feedback.undone"]
    with pytest.raises(Conflict, match="undone already, by bob"):
        parts.feedbacks.undo(given.id, "bob")
    with pytest.raises(NotFound):
        parts.feedbacks.undo("FBK-99", "bob")


def test_one_word_an_incident_and_none_where_no_anomaly_spoke(parts, opened, alert):
    incident = opened()
    given = parts.feedbacks.add(incident, Verdict.RIGHT, "", "ann")
    assert set(given.classes) == {
        SeriesClass(family="queue_wait_seconds", service="shop"), SeriesClass(family="errors", service="shop"),
    }  # fmt: skip
    with pytest.raises(Conflict, match=f"undo {given.id} first"):
        parts.feedbacks.add(incident, Verdict.NOT_AN_INCIDENT, "", "bob")
    parts.feedbacks.undo(given.id, "ann")
    parts.feedbacks.add(incident, Verdict.NOT_AN_INCIDENT, "", "bob")
    assert {each.tolerance for each in parts.feedbacks.tolerances()} == {1.5}
    [receipt] = parts.intake.signals([alert("mail")])
    with pytest.raises(Conflict, match="nothing for it to learn"):
        parts.feedbacks.add(parts.incidents.get(receipt.incident), Verdict.RIGHT, "", "ann")


def test_a_detector_that_starts_follows_what_was_said_before(parts, opened, clock):
    from service.app import start_role

    parts.feedbacks.add(opened(), Verdict.NOT_AN_INCIDENT, "", "ann")
    loops = start_role(parts, "detector")
    try:
        parts.intake.telemetry([Batch(clock().timestamp(), (SHOP,), np.ones(1))])
        assert explained(parts, 'queue_wait_seconds{service="shop"}')[0].series.tolerance == 1.5
    finally:
        for loop in loops:
            loop.stop()
    with pytest.raises(NotFound, match="holds no series"):
        explained(parts, "nothing")


def test_a_process_that_does_not_detect_answers_from_the_saved_state(parts, clock):
    with pytest.raises(NotFound, match="saves it every 30 seconds"), parts.intake.viewed():
        pass
    other = parts.intake
    other.start_detecting()
    other.telemetry([Batch(clock().timestamp(), (SHOP,), np.ones(1))])
    other.save_detector()
    saved = clock()
    other._detects = False
    clock.tick(minutes=3)
    with other.viewed() as (_, as_of):
        assert as_of == saved


def test_by_the_api(parts, opened, clock):
    client = TestClient(create_api(parts))
    keys = {role: {"Authorization": f"Bearer {parts.keys.create(role, role, 'test')[1]}"} for role in Role}
    viewer, approver = keys[Role.VIEWER], keys[Role.APPROVER]
    incident, word = opened().id, {"verdict": "not-an-incident", "note": "the backup"}
    url = f"/v1/incidents/{incident}/feedback"
    assert client.post(url, json=word, headers=keys[Role.SENDER]).status_code == 403
    assert client.post(url, json={"verdict": "maybe"}, headers=approver).status_code == 422
    assert client.post("/v1/incidents/INC-99/feedback", json=word, headers=approver).status_code == 404
    given = client.post(url, json=word, headers=approver)
    assert (given.status_code, given.json()["id"], given.json()["by"]) == (201, "FBK-1", "key:approver")
    assert client.post(url, json=word, headers=approver).status_code == 409
    parts.intake.start_detecting()
    take(parts)
    parts.intake.telemetry([Batch(clock().timestamp(), (SHOP,), np.ones(1))])
    asked = client.get("/v1/detector/series", params={"match": 'queue_wait_seconds{service="shop"}'}, headers=viewer)
    [told] = asked.json()["items"]
    assert (told["series"]["tolerance"], told["feedback"]["feedback"][0]["note"]) == (1.5, "the backup")
    for match, status in (("rate(x[5m])", 422), ("absent_metric", 404)):
        answer = client.get("/v1/detector/series", params={"match": match}, headers=viewer)
        assert answer.status_code == status
    status = client.get("/v1/detector", headers=viewer).json()
    assert (status["summary"]["series"], status["full"], len(status["feedback"])) == (1, False, 2)
    assert client.delete("/v1/feedback/FBK-1", headers=viewer).status_code == 403
    assert client.delete("/v1/feedback/FBK-1", headers=approver).json()["undone_by"] == "key:approver"
    assert client.delete("/v1/feedback/FBK-1", headers=approver).status_code == 409
    assert client.get("/v1/feedback", headers=viewer).json()["items"][0]["undone_by"] == "key:approver"
