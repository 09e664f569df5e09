from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runbooks.binding import bind, render_check
from runbooks.lint import lint
from runbooks.loader import load_corpus
from runbooks.rules import sample
from service.promql import evaluate
from service.settings import LIBRARY

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SHOP = {"service": "shop", "process": "shop", "environment": "sandbox"}
DATABASE = {"service": "orders-db", "process": "postgres", "environment": "sandbox"}


@pytest.fixture(scope="module")
def library():
    return load_corpus([LIBRARY])


def test_the_library_lints_clean(library, catalogue):
    assert lint([LIBRARY], catalogue) == []
    assert library.problems == ()
    assert len(library.runbooks) >= 14
    assert all(runbook.triggers and runbook.diagnose for runbook in library.runbooks if runbook.id not in _NO_DIAGNOSIS)


# Whether their process runs is all that there is to ask, and their precondition asks it.
_NO_DIAGNOSIS = {"worker-down", "oom-killed"}


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
        ("service-down", "process/restart", "shop")
    ]
    (candidate,) = chosen
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
            evaluate(render_check(check, values).query, Empty(), NOW)
