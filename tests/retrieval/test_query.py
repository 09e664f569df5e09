from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from models.domain.incident import Culprit, Incident
from models.domain.signal import Signal, SignalKind
from retrieval.query import MAX_QUERY, metric_names, query_of, query_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def incident(**fields) -> Incident:
    base = {"id": "INC-1", "title": "Checkout fails", "started_at": NOW, "detected_at": NOW, "updated_at": NOW}
    return Incident(**(base | fields))


def signal(**fields) -> Signal:
    return Signal(**({"kind": SignalKind.ALERT, "name": "PostgresDown", "at": NOW} | fields))


def test_all_that_speaks_is_in_the_query():
    query = query_of(
        incident(
            description="Customers see errors.",
            signals=(
                signal(metric="pg_up", labels={"reason": "OOMKilled", "job": "orders-db"}, text="pg_up is 0"),
                signal(name="HighErrors", text="5xx above 5 %"),
            ),
            culprits=(Culprit(service="orders-db", metric="pg_connections", probability=0.9),),
        )
    )
    for part in ("Checkout fails", "Customers see errors.", "PostgresDown", "pg_up is 0", "OOMKilled", "orders-db",
                 "HighErrors", "5xx above 5 %", "pg_connections"):  # fmt: skip
        assert part in query


@pytest.mark.parametrize(
    "labels",
    [
        {"instance": "shop-1:9090"},
        {"pod": "shop-6d4cf56db6-x2z9q"},
        {"severity": "critical"},
        {"environment": "prod"},
        {"address": "10.0.0.1:5432"},
        {"code": "503"},
        {"replica": "7f3a9c21de"},
    ],
)
def test_labels_that_name_only_a_place_are_left_out(labels):
    assert query_of(incident(signals=(signal(labels=labels),))) == "Checkout fails\nPostgresDown"


def test_template_markers_go_and_repeats_are_said_once():
    text = "Pod {{ $labels.namespace }}/{{$labels.pod}} is down.\n{{ range .Alerts }}\n x {{ end }}"
    query = query_of(incident(signals=(signal(text=text), signal(text=text))))
    assert query == "Checkout fails\nPostgresDown\nPod / is down.\nx"


def test_promql_is_cut_to_its_metrics():
    text = 'Fires when\nsum by (job) (rate(http_requests_total{code=~"5.."}[5m])) > 0.05\nholds (for by design).'
    assert query_text([text]).splitlines() == ["Fires when", "http_requests_total", "holds (for by design)."]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up == 0", ["up"]),
        ('{__name__="pg_up", job="x"} == 0', ["pg_up"]),
        ("a:b:rate5m / on (job, instance) group_left (zone) c_total offset 5m", ["a:b:rate5m", "c_total"]),
        (
            "# a comment_line\nmax_over_time(x_bytes[5m]) and not_a_function unless x_bytes",
            ["x_bytes", "not_a_function"],
        ),
        ('histogram_quantile(0.99, sum without(le, pod) (rate(d_bucket{a="}"}[1h])))', ["d_bucket"]),
        ("absent(up{", ["up"]),
        ("", []),
    ],
)
def test_metric_names(expression, names):
    assert metric_names(expression) == names


def test_the_query_is_bounded_and_one_long_text_hides_no_signal():
    log = json.dumps({"line": "stack trace " * 5_000})
    query = query_of(incident(description="d " * 50_000, signals=(signal(text=log), signal(name="DiskFull"))))
    assert len(query) <= MAX_QUERY
    assert "DiskFull" in query
