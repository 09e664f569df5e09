import pytest

from models.detection.meaning import Kind, Role, family_of, kind_of, role_of


@pytest.mark.parametrize(
    ("name", "labels", "kind", "role"),
    [
        ("up", {}, Kind.STATE, Role.AVAILABILITY),
        ("pg_up", {}, Kind.STATE, Role.AVAILABILITY),
        ("http_requests_total", {"code": "200"}, Kind.COUNTER, Role.TRAFFIC),
        ("http_requests_total", {"code": "503"}, Kind.COUNTER, Role.ERRORS),
        ("client_requests_total", {"code": "error"}, Kind.COUNTER, Role.ERRORS),
        ("db_errors_total", {}, Kind.COUNTER, Role.ERRORS),
        ("http_request_duration_seconds_sum", {}, Kind.SUM, Role.LATENCY),
        ("http_request_duration_seconds_count", {}, Kind.COUNTER, Role.TRAFFIC),
        ("http_request_duration_seconds_bucket", {"le": "1"}, Kind.SKIPPED, Role.LATENCY),
        ("pg_query_seconds", {}, Kind.GAUGE, Role.LATENCY),
        ("pg_connections", {}, Kind.GAUGE, Role.SATURATION),
        ("db_pool_in_use", {}, Kind.GAUGE, Role.SATURATION),
        ("process_cpu_seconds_total", {}, Kind.COUNTER, Role.CONTEXT),
        ("scrape_duration_seconds", {}, Kind.GAUGE, Role.CONTEXT),
        ("orders_open", {}, Kind.GAUGE, Role.OTHER),
        ("", {}, Kind.SKIPPED, Role.OTHER),
        ("proxy_certificate_not_after_seconds", {}, Kind.SKIPPED, Role.LATENCY),
        ("deployment_timestamp_seconds", {}, Kind.SKIPPED, Role.LATENCY),
        ("probe_ssl_earliest_cert_expiry", {}, Kind.SKIPPED, Role.OTHER),
    ],
)
def test_names_say_kind_and_role(name, labels, kind, role):
    assert kind_of(name) is kind
    assert role_of(name, labels) is role


def test_series_of_one_histogram_are_one_family():
    assert {family_of(f"latency_seconds{suffix}") for suffix in ("_sum", "_count", "")} == {"latency_seconds"}
