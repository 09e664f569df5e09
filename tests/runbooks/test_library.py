from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.domain.signal import Signal
from runbooks import LIBRARY
from runbooks.binding import bind, render_check
from runbooks.lint import lint
from runbooks.loader import load_corpus
from runbooks.rules import sample
from service.promql import evaluate

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SHOP = {"service": "shop", "process": "shop", "environment": "sandbox"}
DATABASE = {"service": "orders-db", "process": "postgres", "environment": "sandbox"}


@pytest.fixture(scope="module")
def library():
    return load_corpus([LIBRARY])


def test_the_library_lints_clean(library, catalogue):
    assert lint([LIBRARY], catalogue) == []
    assert library.problems == ()
    assert len(library.runbooks) >= 42
    assert all(runbook.triggers and runbook.diagnose for runbook in library.runbooks)


def offered(library, catalogue, incident):
    """The candidates of the runbooks that a signal speaks for, and every candidate."""
    binding = bind(library.runbooks, incident, catalogue)
    triggered = {match.runbook for match in binding.matched}
    return [candidate for candidate in binding.candidates if candidate.runbook in triggered], binding.candidates


def test_a_service_that_is_down_is_restarted(library, catalogue, incident, anomaly):
    signals = (
        anomaly("up", "down", 0.0, **SHOP),
        anomaly("client_requests_total", "up", 40.0, code="error", **(SHOP | {"process": "loadgen"})),
    )
    chosen, every = offered(library, catalogue, incident(("shop",), SHOP, *signals))
    assert [(candidate.runbook, candidate.uses, candidate.arguments["name"]) for candidate in chosen] == [
        ("service-down", "process/restart", "shop"),
        ("service-not-answering", "process/restart", "shop"),
    ]
    candidate, if_it_hangs = chosen
    assert "scrape_duration_seconds" in if_it_hangs.preconditions[1].query, "what tells the two apart"
    assert candidate.preconditions[0].query == 'up{service="shop",process="shop"}'
    assert candidate.verify[0].query == candidate.preconditions[0].query
    assert candidate.verify[0].condition == "== 1"
    assert 'code=~"2.."}[30s]' in candidate.verify[1].query
    assert candidate.rollback.uses == "process/stop"
    assert {one.arguments["name"] for one in every if one.uses.startswith("process/")} == {"shop"}


def test_a_service_that_hangs_is_restarted(library, catalogue, incident, anomaly):
    signals = (anomaly("up", "down", 0.0, **SHOP), anomaly("scrape_duration_seconds", "up", 1.0, **SHOP))
    chosen, _ = offered(library, catalogue, incident(("shop",), SHOP, *signals))
    assert {candidate.runbook for candidate in chosen} == {"service-down", "service-not-answering"}
    assert {(candidate.uses, candidate.arguments["name"]) for candidate in chosen} == {("process/restart", "shop")}


@pytest.mark.parametrize("metrics", [("pg_up",), ("pg_up", "pg_connections"), ("pg_connections",)])
def test_a_database_that_refuses_connections_is_restarted(library, catalogue, incident, anomaly, metrics):
    wanted = {"pg_up": "postgres-down", "pg_connections": "postgres-connections-exhausted"}
    signals = [
        anomaly(metric, "down" if metric == "pg_up" else "up", 0.0 if metric == "pg_up" else 20.0, **DATABASE)
        for metric in metrics
    ]
    signals.append(anomaly("http_requests_total", "up", 30.0, code="503", **SHOP))
    chosen, every = offered(library, catalogue, incident(("orders-db", "shop"), DATABASE, *signals))
    acting = {one.runbook: (one.uses, one.arguments.get("name")) for one in chosen if one.service == "orders-db"}
    for metric in metrics:
        assert acting[wanted[metric]] == ("process/restart", "postgres")
    # Nothing that is offered for this incident touches another process.
    assert {one.arguments["name"] for one in every if one.uses.startswith("process/")} == {"postgres"}


def test_a_service_that_is_down_can_be_replaced_by_its_standby(library, catalogue, incident, anomaly):
    labels = SHOP | {"router": "edge", "standby_process": "shop-b"}
    chosen, _ = offered(library, catalogue, incident(("shop",), labels, anomaly("up", "down", 0.0, **SHOP)))
    (failover,) = [candidate for candidate in chosen if candidate.uses == "traffic/switch"]
    assert failover.arguments == {"router": "edge", "to": "standby"}
    assert failover.rollback.arguments == {"router": "edge", "to": "primary"}
    assert 'up{service="shop",process="shop-b"}' in {check.query for check in failover.preconditions}
    assert all("up{" not in check.query for check in failover.verify), "what was down before stays down"


WORKERS = SHOP | {
    "scale_program": "shop-scale", "utilisation_metric": "shop_worker_utilisation", "workers_metric": "shop_workers",
    "workers": "2", "workers_at_peak": "6",
}  # fmt: skip


def test_busy_workers_are_scaled_up_and_idle_ones_down(library, catalogue, incident, anomaly):
    busy = incident(("shop",), WORKERS, anomaly("shop_worker_utilisation", "up", 0.97, **SHOP))
    (up,) = offered(library, catalogue, busy)[0]
    rule = Signal(kind="alert", name="WorkersIdle", at=NOW, labels=SHOP, severity="warning")
    idle = incident(("shop",), WORKERS, rule)
    (down,) = offered(library, catalogue, idle)[0]
    assert up.arguments == {"program": "shop-scale", "args": ["6"]} == down.rollback.arguments
    assert down.arguments == {"program": "shop-scale", "args": ["2"]} == up.rollback.arguments
    gates = [(check.query, check.condition) for check in up.preconditions]
    assert ('shop_worker_utilisation{service="shop",process="shop"}', "> 0.8") in gates
    assert any(check.query.startswith("shop_workers{") for check in down.preconditions)


@pytest.mark.parametrize("metric", ["http_request_duration_seconds_sum", "http_requests_total"])
def test_a_deployment_that_hurts_is_rolled_back_to_the_stable_release(library, catalogue, incident, anomaly, metric):
    labels = SHOP | {"release_program": "ship"}
    hurt = anomaly(metric, "up", 0.9, **SHOP, **({"code": "500"} if metric.endswith("total") else {}))
    chosen, _ = offered(library, catalogue, incident(("shop",), labels, hurt))
    (back,) = [candidate for candidate in chosen if candidate.uses == "script/run"]
    assert back.arguments == {"program": "ship", "args": ["stable"]}
    assert back.rollback.arguments == {"program": "ship", "args": ["previous"]}
    assert "deployment_timestamp_seconds" in back.preconditions[0].query


def test_an_expired_certificate_is_renewed_and_what_is_served_is_measured(library, catalogue, incident, anomaly):
    edge = {"service": "edge", "process": "edge"}
    labels = edge | {"certificate": "web", "expiry_metric": "edge_not_after_seconds", "tls_metric": "edge_tls_ready"}
    chosen, _ = offered(library, catalogue, incident(("edge",), labels, anomaly("edge_tls_ready", "down", 0.0, **edge)))
    (renew,) = [candidate for candidate in chosen if candidate.uses == "certificate/renew"]
    assert renew.arguments == {"name": "web"}
    assert [check.query for check in renew.verify] == [
        'edge_not_after_seconds{service="edge"} - time()', 'edge_tls_ready{service="edge"}'
    ]  # fmt: skip


def test_an_incident_that_nothing_covers_matches_no_trigger(library, catalogue, incident, anomaly):
    odd = incident(("printer",), {}, anomaly("printer_toner_level", "down", 0.1, service="printer"))
    assert offered(library, catalogue, odd)[0] == []


def test_the_embedded_source_answers_every_query(library):
    class Empty:
        def select(self, matches, start, end, metric=None):
            return []

    for runbook in library.runbooks:
        values = {name: sample(parameter) for name, parameter in runbook.parameters.items()}
        checks = [*runbook.diagnose, *(check for one in runbook.actions for check in (*one.preconditions, *one.verify))]
        for check in checks:
            assert check.query is not None, f"{runbook.id}: {check.subject}"
            evaluate(render_check(check, values).query, Empty(), NOW)
