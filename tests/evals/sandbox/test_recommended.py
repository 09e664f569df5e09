"""What the library proposes for each failure of the sandbox, from telemetry as the sandbox shows it; nothing runs."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import yaml

from evals.sandbox.authority import create as create_authority
from evals.sandbox.config import CAUSES, write_settings
from evals.sandbox.layout import Layout
from evals.sandbox.routing import switch
from evals.sandbox.scripts import write_scripts
from models.correlation.signals import signal_of
from models.detection.batch import Batch
from models.domain.base import utc_now
from models.domain.incident import Incident
from models.domain.signal import Anomaly, Signal

SHOP = {"service": "shop", "process": "shop"}
STANDBY = {"service": "shop", "process": "shop-standby"}
DATABASE = {"service": "orders-db", "process": "postgres"}
PROXY = {"service": "proxy", "process": "proxy"}
CUSTOMERS = {"service": "shop", "process": "loadgen"}
WEEK = 7 * 86400.0

HEALTHY = {
    ("up", *SHOP.items()): 1, ("up", *STANDBY.items()): 1, ("up", *DATABASE.items()): 1, ("up", *PROXY.items()): 1,
    ("scrape_duration_seconds", *SHOP.items()): 0.01,
    ("pg_up", *DATABASE.items()): 1, ("pg_query_seconds", *DATABASE.items()): 0.01,
    ("pg_connections", *DATABASE.items()): 4, ("pg_max_connections", *DATABASE.items()): 27,
    ("shop_workers", *SHOP.items()): 1, ("shop_worker_utilisation", *SHOP.items()): 0.2,
    ("deployment_timestamp_seconds", *SHOP.items()): -WEEK, ("deployment_timestamp_seconds", *STANDBY.items()): -WEEK,
    ("proxy_certificate_not_after_seconds", *PROXY.items()): 90 * 86400.0, ("proxy_tls_ready", *PROXY.items()): 1,
}  # fmt: skip
"""Gauges by name and labels; of those that are unix times, seconds from now."""
UNIX = ("deployment_timestamp_seconds", "proxy_certificate_not_after_seconds")


def up(metric, labels, value=50.0):
    return departure(metric, labels, value, "up")


def down(metric, labels, value=0.0):
    return departure(metric, labels, value, "down")


def departure(metric, labels, value, direction):
    found = Anomaly(
        labels={"__name__": metric, **labels, "environment": "sandbox"}, at=utc_now(), score=0.999, p_value=1e-30,
        observed=value, expected=1.0, lower=0.9, upper=1.1, direction=direction,
    )  # fmt: skip
    return signal_of(found)


def rule(name, labels):
    return Signal(
        kind="alert", name=name, at=utc_now(), labels={**labels, "environment": "sandbox"}, severity="warning"
    )  # fmt: skip


@pytest.fixture
def recommended(tmp_path, installation):
    """The candidates worth trying, as `runbook/action` in their order, for signals in that telemetry."""

    def ask(signals, gauges, fast=1.0, codes=("200",), runbooks=()):
        layout = Layout.create(tmp_path / "s")
        create_authority(layout)
        write_scripts(layout)
        switch(layout, "primary")
        layout.proxy_pid.write_text("1")
        settings = yaml.safe_load(write_settings(layout).read_text())
        wanted = ("topology", "runbooks", "policies", "modes", "autonomy", "executors")
        settings["runbooks"] += [str(folder) for folder in runbooks]
        parts = installation(**{name: settings[name] for name in wanted}).parts
        parts.corpus.sync()
        now = parts.clock()
        for second in range(-20, 1):
            parts.samples.append(batch(now.timestamp(), second, HEALTHY | gauges, fast, codes))
        incident = Incident(
            id="INC-1", title="it broke", environment="sandbox", signals=tuple(signals),
            services=tuple(dict.fromkeys(one.service for one in signals)), started_at=now - timedelta(seconds=9),
            detected_at=now, updated_at=now,
        )  # fmt: skip
        made = parts.pipeline.recommend(incident)
        worth = [] if made.abstained else parts.pipeline.worth_trying(made)
        return [
            f"{one.candidate.runbook}/{one.candidate.action}" for one in map(made.candidates.__getitem__, worth)
        ], made  # fmt: skip

    return ask


def batch(now, second, gauges, fast, codes):
    """All series at one second: gauges as they are, counters that rise by one request a second."""
    series, values = [], []
    for (name, *labels), value in gauges.items():
        if value is not None:
            series.append({"__name__": name, **dict(labels), "environment": "sandbox"})
            values.append(now + value if name in UNIX else value)
    count = 100.0 + second
    for code in ("200", "502", "503", "tls_failure"):
        series.append({"__name__": "client_requests_total", "code": code, **CUSTOMERS, "environment": "sandbox"})
        values.append(count if code in codes else 1.0)
    for bound in ("0.01", "0.1", "+Inf"):
        series.append(
            {"__name__": "http_request_duration_seconds_bucket", "le": bound, **SHOP, "environment": "sandbox"}
        )
        values.append(count * (fast if bound == "0.01" else 1.0))
    return Batch(at=now + second, series=tuple(series), values=np.array(values))


GONE = {("pg_connections", *DATABASE.items()): None, ("pg_query_seconds", *DATABASE.items()): None}
REFUSED = (
    down("pg_up", DATABASE),
    up("client_requests_total", CUSTOMERS | {"code": "503"}),
    up("db_errors_total", SHOP),
)
CASES = {
    "exhaust_connections": (
        (*REFUSED, up("pg_connections", DATABASE, 27)),
        {("pg_up", *DATABASE.items()): 0, ("pg_connections", *DATABASE.items()): 27},
        {"codes": ("503",)},
        {"postgres-connections-exhausted/restart-exhausted-database", "postgres-down/restart-database"},
    ),
    "kill_database": (
        REFUSED,
        {("pg_up", *DATABASE.items()): 0} | GONE,
        {"codes": ("503",)},
        {"postgres-down/restart-database"},
    ),
    "overload": (
        (up("shop_worker_utilisation", SHOP, 0.98), up("http_request_duration_seconds_sum", SHOP)),
        {("shop_worker_utilisation", *SHOP.items()): 0.98},
        {"fast": 0.2},
        {"workers-busy/add-workers"},
    ),
    "idle_workers": (
        (rule("WorkersIdle", SHOP),),
        {("shop_workers", *SHOP.items()): 3, ("shop_worker_utilisation", *SHOP.items()): 0.07},
        {},
        {"workers-idle/remove-workers"},
    ),
    "bad_release": (
        (up("http_request_duration_seconds_sum", SHOP), up("proxy_request_duration_seconds_sum", PROXY),
         up("client_request_duration_seconds_sum", CUSTOMERS), up("db_pool_in_use", SHOP)),
        {("deployment_timestamp_seconds", *SHOP.items()): -20},
        {"fast": 0.2},
        {"deploy-latency/roll-back-release"},
    ),
    "expired_certificate": (
        (down("proxy_tls_ready", PROXY), up("client_requests_total", CUSTOMERS | {"code": "tls_failure"})),
        {("proxy_tls_ready", *PROXY.items()): 0, ("proxy_certificate_not_after_seconds", *PROXY.items()): -3600},
        {"codes": ("tls_failure",)},
        {"certificate-expired/renew-expired-certificate"},
    ),
    "kill_service": (
        (down("up", SHOP), up("client_requests_total", CUSTOMERS | {"code": "502"})),
        {("up", *SHOP.items()): 0},
        {"codes": ("502",)},
        {"service-down/restart-process"},
    ),
    "hang_service": (
        (
            down("up", SHOP),
            up("scrape_duration_seconds", SHOP, 1.0),
            up("client_request_duration_seconds_sum", CUSTOMERS),
        ),
        {("up", *SHOP.items()): 0, ("scrape_duration_seconds", *SHOP.items()): 0.9},
        {"codes": ()},
        {"service-down/restart-process", "service-not-answering/restart-hung-process"},
    ),
}  # fmt: skip
"""Signals, gauges that differ from the healthy ones, requests, and what may come first."""


@pytest.mark.parametrize("name", CASES)
def test_what_cures_a_failure_comes_first(recommended, name):
    signals, gauges, requests, wanted = CASES[name]
    order, made = recommended(signals, gauges, **requests)
    assert order, made.abstained
    assert order[0] in wanted, [(one.candidate.action, one.probability) for one in made.candidates[:4]]


def test_where_a_service_is_down_its_standby_comes_after_the_restart(recommended):
    signals, gauges, requests, _ = CASES["kill_service"]
    order, _ = recommended(signals, gauges, **requests)
    assert order[:2] == ["service-down/restart-process", "service-down/fail-over"]


def test_a_database_that_refuses_without_being_full_is_left_to_the_shops_own_runbook_first(recommended):
    order, _ = recommended(REFUSED, {("pg_up", *DATABASE.items()): 0}, codes=("503",))
    assert order[:2] == ["shop-refused-by-database/use-standby", "postgres-down/restart-database"]


def test_connections_that_leave_room_are_no_reason_to_act(recommended):
    order, made = recommended((up("pg_connections", DATABASE, 17),), {("pg_connections", *DATABASE.items()): 17})
    assert order == []
    assert "its precondition, which does not hold now" in made.abstained.reason


WRITES = ("pg_wal_write_seconds", *DATABASE.items())
SAME_SYMPTOM = {
    "checkouts-no-database/restart-dead-database": {("pg_up", *DATABASE.items()): 0} | GONE,
    "checkouts-no-connections/end-idle-sessions": {
        ("pg_up", *DATABASE.items()): 0, ("pg_connections", *DATABASE.items()): 27, WRITES: 0.002,
    },
    "checkouts-slow-disk/move-log": {WRITES: 2.1},
}  # fmt: skip
"""By what helps, the gauges that tell the causes apart."""


@pytest.mark.parametrize("wanted", SAME_SYMPTOM)
def test_where_all_that_is_seen_is_that_checkouts_fail_the_telemetry_tells_the_cause(recommended, wanted):
    alert = (rule("CheckoutsFailing", SHOP),)
    order, made = recommended(alert, SAME_SYMPTOM[wanted], codes=("503",), runbooks=(CAUSES,))
    assert order[:1] == [wanted], [(one.candidate.action, one.probability) for one in made.candidates[:4]]
    matched = {
        one.candidate.runbook
        for one in made.candidates
        if any(part.feature == "trigger" and part.value for part in one.evidence)
    }
    assert {name.split("/")[0] for name in SAME_SYMPTOM} <= matched, "the symptom speaks for all three alike"
