"""Suture's own logs and metrics."""

import io
import json
import logging

import pytest

from service.telemetry import Metrics, configure_logging


@pytest.fixture
def logged():
    """What is written after `configure_logging(level, form)`; the process's logging is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()

    def start(level, form):
        configure_logging(level, form, stream)
        return stream

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text_is_one_line_an_entry_in_utc(logged):
    stream = logged("info", "text")
    logging.getLogger("service.x").info("a title\n2026-01-01T00:00:00Z INFO faked: entry")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].split(" ", 1)[0].endswith("Z")
    assert "INFO service.x: a title\\n2026" in lines[0]


def test_json_is_one_object_a_line_with_the_exception(logged):
    stream = logged("info", "json")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("service.x").exception("failed %s", "here")
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "service.x", "failed here")
    assert "ValueError: why" in entry["exception"]


def test_third_parties_are_quiet_until_they_warn(logged):
    stream = logged("info", "text")
    logging.getLogger("httpx").info("GET …")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade")
    logging.getLogger("httpx").warning("slow")
    assert [line.rsplit(" ", 1)[1] for line in stream.getvalue().splitlines()] == ["slow"]


def test_metrics_are_read_when_they_are_scraped():
    metrics, state = Metrics(), {"open": 1}
    metrics.read("gauge", "suture_incidents", "By status.", lambda: dict(state), "status")
    metrics.read("counter", "suture_samples", "Kept.", lambda: 5)
    metrics.request("/v1/incidents/{id}", "GET", 200, 0.02)
    state["open"] = 4
    text = metrics.exposition()[0].decode()
    assert 'suture_incidents{status="open"} 4.0' in text
    assert "suture_samples_total 5.0" in text
    assert 'suture_http_request_duration_seconds_count{method="GET",route="/v1/incidents/{id}"} 1.0' in text


def test_a_metric_that_cannot_be_read_hides_no_other(caplog):
    def fail():
        raise RuntimeError("the database is gone")

    metrics = Metrics()
    metrics.read("gauge", "suture_incidents", "By status.", fail, "status")
    metrics.read("gauge", "suture_series", "Series.", lambda: 3)
    text = metrics.exposition()[0].decode()
    assert "suture_series 3.0" in text
    assert "suture_incidents{" not in text
    assert "suture_incidents cannot be read" in caplog.text


def test_two_installations_in_one_process_do_not_mix():
    one, other = Metrics(), Metrics()
    one.request("/x", "GET", 200, 0.1)
    assert b'route="/x"' not in other.exposition()[0]
