"""Log lines and events by HTTP, on both databases: incidents, templates, restarts, limits and what is not taken."""

import gzip
import json
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from retrieval.query import query_of
from service.store.keys import Role

SETTINGS = {"learn": "1m", "new_within": "30s", "interval": "15s"}
HEALTHY = ("order {n} paid in {n} ms", "session of 10.0.0.{n} opened", "cache refreshed with {n} entries")


class Site:
    """An installation of which the API is asked; its loops run when told."""

    def __init__(self, parts, clock):
        from service.api import create_api

        self.parts, self.clock = parts, clock
        _, key = parts.keys.create("logs", Role.SENDER, "test")
        self._client = TestClient(create_api(parts), headers={"Authorization": f"Bearer {key}"})
        parts.intake.start_detecting()
        parts.logs.start()

    def send(self, *lines, service="shop", level="info"):
        """Post messages of now; returns the report."""
        logs = [{"service": service, "level": level, "message": line} for line in lines]
        answer = self.post("/v1/logs", {"logs": logs})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def post(self, path, body):
        return self._client.post(path, json=body)

    def post_packed(self, body):
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return self._client.post("/v1/logs", content=body, headers=headers)

    def get(self, path):
        answer = self._client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def text(self, path):
        return self._client.get(path).text

    def pass_time(self, ticks, *, errors=()):
        """Healthy lines, and `errors`, for so many intervals."""
        for _ in range(ticks):
            second = int(self.clock().timestamp())
            self.send(*(line.format(n=second % 250) for line in HEALTHY * 4))
            if errors:
                self.send(*(error.format(n=second % 9973 + place) for place, error in enumerate(errors)), level="error")
            self.clock.tick(seconds=15)
            self.parts.logs.tick()

    def incidents(self):
        return self.get("/v1/incidents")["items"]


@pytest.fixture
def site(build, clock):
    """Makes installations over one database."""

    def make(**logs):
        detector = {"name": "lockstep", "config": {"warmup": 10}}
        return Site(build(logs=SETTINGS | logs, detector=detector), clock)

    return make


def test_a_burst_of_an_error_that_was_never_seen_opens_an_incident_that_quotes_it(site):
    shop = site()
    shop.pass_time(30)
    assert shop.incidents() == []
    shop.post("/v1/events", {"kind": "deployment", "service": "shop", "text": "shop 2026.1.3"})
    shop.pass_time(4, errors=["payment of order {n} refused by gateway 10.1.2.3: certificate expired"] * 10)
    [incident] = shop.incidents()
    assert incident["services"] == ["shop"]
    texts = [signal["text"] for signal in incident["signals"]]
    assert any("payment of order <num> refused by gateway <ip>: certificate expired" in text for text in texts)
    assert "new error in the log" in [signal["name"] for signal in incident["signals"]]
    assert "refused by gateway <ip>: certificate expired" in query_of(shop.parts.incidents.get(incident["id"]))
    timeline = shop.get(f"/v1/incidents/{incident['id']}")["timeline"]
    assert any(entry["kind"] == "changed" and "shop 2026.1.3" in entry["text"] for entry in timeline)


def test_a_restart_forgets_nothing(site, clock):
    first = site()
    first.pass_time(6)
    first.send("order 7 rejected: no stock", level="error")
    first.parts.logs.save()
    first.parts.intake.save_detector()
    known = first.get("/v1/logs/templates")
    second = site()
    assert second.get("/v1/logs/templates") == known
    second.send("order 8 rejected: no stock", level="error")
    ids = {one["template"]: (one["id"], one["count"]) for one in second.get("/v1/logs/templates")["items"]}
    before = {one["template"]: (one["id"], one["count"]) for one in known["items"]}
    words = "order <num> rejected: no stock"
    assert ids[words] == (before[words][0], 2)
    assert len(ids) == len(before)


def test_a_few_errors_that_are_known_open_nothing(site):
    shop = site()
    shop.pass_time(4, errors=["upstream {n} timed out"])
    shop.pass_time(40, errors=["upstream {n} timed out"])
    assert shop.incidents() == []


def test_each_line_is_checked_by_itself_and_what_is_wrong_is_told(site):
    shop = site()
    body = {"logs": [{"message": "fine"}, {"message": 7}, {"text": "x"}, 3, {"message": "old", "at": 5}]}
    answer = shop.post("/v1/logs", body)
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    paths = [each["path"] for each in answer.json()["refused"]]
    assert paths == ["$.logs[1].message", "$.logs[2].text", "$.logs[3]", "$.logs[4].at"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "logs"),
        ([], "not empty"),
        ("text", "list"),
        ({"logs": "x"}, "list"),
        ({"resourceLogs": 4}, "$.resourceLogs"),
        ({"streams": [{"stream": {}, "values": 1}]}, "$.streams[0].values"),
        ({"logs": [{"message": "x", "service": "a" * 201}]}, "$.logs[0].service"),
        ({"logs": [{"message": "x", "labels": 1}]}, "$.logs[0].labels"),
    ],
)
def test_a_body_of_which_nothing_can_be_taken_is_refused(site, body, words):
    answer = site().post("/v1/logs", body)
    assert answer.status_code == 422
    assert words in answer.text


def test_otlp_and_loki_are_taken_as_they_are(site, clock):
    shop = site()
    nanoseconds = str(int(clock().timestamp() * 1e9))
    record = {"timeUnixNano": nanoseconds, "severityNumber": 17, "body": {"stringValue": "lock of row 5 timed out"}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "orders"}}]}
    otlp = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    assert shop.post("/v1/logs", otlp).json()["accepted"] == 1
    stream = {"stream": {"app": "cart", "env": "prod"}, "values": [[nanoseconds, "level=warn msg=slow"]]}
    assert shop.post("/v1/logs", {"streams": [stream]}).json()["accepted"] == 1
    assert shop.send('{"level": "fatal", "msg": "out of memory at 0x7f3a"}', level=None)["accepted"] == 1
    found = {
        (t["service"], t["environment"], t["level"], t["template"]) for t in shop.get("/v1/logs/templates")["items"]
    }
    assert found == {
        ("orders", "", "error", "lock of row <num> timed out"),
        ("cart", "prod", "warning", "level=warn msg=slow"),
        ("shop", "", "critical", "out of memory at <id>"),
    }


def test_a_body_may_be_compressed(site):
    shop = site()
    packed = gzip.compress(json.dumps([{"message": "ready"}] * 1000).encode())
    assert shop.post_packed(packed).json()["accepted"] == 1000
    for wrong in (b"[]", packed[:-9]):
        answer = shop.post_packed(wrong)
        assert answer.status_code == 400
        assert "gzip" in answer.json()["detail"]
    assert shop.post_packed(gzip.compress(b"[" + b" " * 40_000_000)).status_code == 413


def test_limits_hold_and_are_told(site):
    shop = site(max_templates=10, max_services=2, max_rate=1)
    assert shop.send("x" * 10_000_000)["cut"] == 1
    words = ["alpha beta", "gamma delta", "epsilon zeta"]
    report = shop.send(*(f"{a} {chr(97 + n) * 5} {chr(107 + n) * 6}" for n in range(6) for a in words), service="cart")
    assert report["accepted"] == 18
    assert report["by_level_only"] == 3
    assert report["templates_left"] == 5
    assert shop.send("anything", service="third")["dropped"] == 1
    kept = shop.get("/v1/logs/templates?service=cart")["items"]
    assert len(kept) == 10
    assert 'suture_log_lines_total{became="dropped"} 1.0' in shop.text("/metrics")


def test_lines_that_never_come_again_fill_no_store(site, clock):
    shop = site(template_interval="15s")
    for a in "abcdefgh":
        shop.send(*(f"{a}{b}{c} {b}{c}{a} {c}{a}{b}" for b in "ijklm" for c in "nopqrstu"))
        clock.tick(seconds=15)
        shop.parts.logs.tick()
    assert len(shop.get("/v1/logs/templates")["items"]) == 200
    assert shop.parts.samples.series_count() == 3


def test_lines_of_the_past_make_no_burst(site, clock):
    shop = site()
    shop.pass_time(20)
    old = (clock() - timedelta(hours=1)).isoformat()
    lines = [{"service": "shop", "level": "error", "message": f"retry {n} failed", "at": old} for n in range(500)]
    assert shop.post("/v1/logs", {"logs": lines}).json()["late"] == 500
    shop.pass_time(4)
    assert shop.incidents() == []


def test_secrets_and_people_are_not_shown(site):
    shop = site()
    shop.send(
        "login of ada@example.org with password=hunter2 failed", "Authorization: Bearer abcdef0123456789", level="error"
    )
    text = json.dumps(shop.get("/v1/logs/templates"))
    assert "hunter2" not in text
    assert "example.org" not in text
    assert "abcdef0123456789" not in text


def test_events_are_listed_and_refused_with_the_place(site, clock):
    shop = site()
    for number in range(3):
        done = shop.post("/v1/events", {"kind": "config", "service": "shop", "text": f"flag {number}"})
        assert done.status_code == 201
    page = shop.get("/v1/events?limit=2")
    assert [event["text"] for event in page["items"]] == ["flag 2", "flag 1"]
    rest = shop.get(f"/v1/events?limit=2&cursor={page['next']}")
    assert [event["text"] for event in rest["items"]] == ["flag 0"]
    assert rest["next"] is None
    assert shop.get("/v1/events?service=cart")["items"] == []
    early = {"kind": "config", "text": "x", "at": (clock() - timedelta(days=31)).isoformat()}
    assert "$.at" in shop.post("/v1/events", early).text
    assert shop.post("/v1/events", {"kind": "config"}).status_code == 422


def test_events_are_counted_as_series_and_open_nothing(site, clock):
    shop = site()
    shop.pass_time(20)
    for _ in range(30):
        shop.post("/v1/events", {"kind": "scale", "service": "shop", "text": "to 5 replicas"})
    shop.pass_time(4)
    series = shop.parts.samples.select(
        lambda labels: labels.get("kind") == "scale", clock() - timedelta(hours=1), clock(), "change_events_total"
    )
    [(_, points)] = series
    assert points[-1][1] == 30
    assert shop.incidents() == []
