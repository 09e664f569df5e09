from datetime import UTC, datetime, timedelta

import pytest

from models.domain.base import Severity
from models.domain.incident import Incident
from models.domain.signal import Anomaly, Signal, SignalKind
from models.domain.topology import Service, Topology
from models.localisation import localise

START = datetime(2026, 3, 1, tzinfo=UTC)
TOPOLOGY = Topology(
    services={
        "web": Service(depends_on=("shop",)),
        "shop": Service(depends_on=("orders-db", "cache")),
        "orders-db": Service(),
        "cache": Service(),
    }
)


def departure(service, metric, direction, seconds=0.0, status="firing", **labels):
    at = START + timedelta(seconds=seconds)
    found = Anomaly(
        labels={"__name__": metric, "service": service, **labels},
        at=at,
        score=0.9,
        p_value=1e-12,
        observed=0,
        expected=1,
        lower=0.9,
        upper=1.1,
        direction=direction,
    )
    return Signal(
        kind=SignalKind.ANOMALY,
        name=f"{metric} {direction}",
        at=at,
        status=status,
        metric=metric,
        labels={"service": service, **labels},
        anomaly=found,
    )


def alert(name, service):
    return Signal(kind=SignalKind.ALERT, name=name, at=START, severity=Severity.CRITICAL, labels={"service": service})


def culprits(*signals):
    incident = Incident(id="INC-1", title="t", signals=signals, started_at=START, detected_at=START, updated_at=START)
    return localise(incident, TOPOLOGY)


ERRORS = departure("shop", "http_requests_total", "up", code="500")


@pytest.mark.parametrize(
    ("signals", "service", "metric"),
    [
        pytest.param([ERRORS, departure("orders-db", "pg_up", "down", 5)], "orders-db", "pg_up", id="failing callee"),
        pytest.param(
            [departure("shop", "up", "down", 5), departure("orders-db", "pg_connections", "down")],
            "shop",
            "up",
            id="idle callee of a dead caller",
        ),
        pytest.param(
            [ERRORS, departure("orders-db", "pg_connections", "up", 3)], "orders-db", "pg_connections", id="full callee"
        ),
        pytest.param(
            [departure("shop", "up", "down"), departure("orders-db", "pg_up", "down", 2)],
            "orders-db",
            "pg_up",
            id="both down",
        ),
        pytest.param(
            [departure("shop", "up", "down"), departure("orders-db", "pg_query_seconds", "up")],
            "shop",
            "up",
            id="slow callee does not kill its caller",
        ),
        pytest.param([ERRORS], "shop", "http_requests_total", id="alone"),
        pytest.param(
            [departure("web", "http_requests_total", "up", code="500"), departure("cache", "up", "down")],
            "cache",
            "up",
            id="through a silent service",
        ),
        pytest.param(
            [alert("HighErrorRate", "web"), alert("PostgresDown", "orders-db")], "orders-db", None, id="alerts"
        ),
        pytest.param(
            [departure("orders-db", "pg_query_seconds", "up"), departure("orders-db", "pg_up", "down", 3)],
            "orders-db",
            "pg_up",
            id="metric of availability first",
        ),
    ],
)
def test_origin(signals, service, metric):
    for order in (signals, signals[::-1]):
        ranked = culprits(*order)
        assert (ranked[0].service, ranked[0].metric) == (service, metric)
        assert sum(culprit.probability for culprit in ranked) == pytest.approx(1)
        assert [c.probability for c in ranked] == sorted((c.probability for c in ranked), reverse=True)


def test_explained_service_says_by_what():
    shop = next(c for c in culprits(ERRORS, departure("orders-db", "pg_up", "down")) if c.service == "shop")
    assert "explained by orders-db" in shop.reason


def test_resolved_signals_no_longer_point():
    back = departure("orders-db", "pg_up", "down", 9, status="resolved")
    assert culprits(ERRORS, departure("orders-db", "pg_up", "down"), back)[0].service == "shop"


def test_a_silent_dependency_of_a_service_that_nothing_explains_is_named_after_it():
    ranked = culprits(ERRORS)
    assert [one.service for one in ranked] == ["shop", "cache", "orders-db"]
    assert ranked[1].probability == pytest.approx(ranked[2].probability)
    assert ranked[0].probability > 0.8
    assert "says nothing itself; shop depends on it" in ranked[1].reason


def test_silence_is_no_suspicion_where_something_speaks_or_the_service_is_itself_down():
    assert {one.service for one in culprits(ERRORS, departure("cache", "up", "down"))} == {"shop", "cache"}
    assert {one.service for one in culprits(departure("shop", "up", "down"))} == {"shop"}


def test_no_service_named_gives_no_culprit():
    assert culprits(Signal(kind=SignalKind.TICKET, name="it is slow", at=START)) == ()


def test_services_that_depend_on_each_other_do_not_explain_each_other_away():
    loop = Topology(services={"a": Service(depends_on=("b",)), "b": Service(depends_on=("a",))})
    incident = Incident(
        id="INC-1",
        title="t",
        signals=(departure("a", "up", "down"), departure("b", "errors_total", "up")),
        started_at=START,
        detected_at=START,
        updated_at=START,
    )
    assert localise(incident, loop)[0].service == "a"
