"""Dependencies that were seen: by traces and metrics in, by the topology and the grouping of signals out."""

import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from models.domain.signal import Sample
from models.domain.topology import Topology
from service.discovery.book import TopologyBook
from service.discovery.metrics import MetricDiscovery
from service.discovery.settings import CallMetric, DiscoverySettings
from service.discovery.traces import TraceReader
from service.sources.embedded import EmbeddedSource
from service.store.topology import Edges

from .conftest import NOW


def spans(service, *each):
    """One resource's spans: (id, parent or None, peer or None)."""
    return {
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [
            {
                "spans": [
                    {
                        "traceId": "t1",
                        "spanId": own,
                        **({"parentSpanId": parent} if parent else {}),
                        **({"attributes": [{"key": "peer.service", "value": {"stringValue": peer}}]} if peer else {}),
                    }
                    for own, parent, peer in each
                ]
            }
        ],
    }


def send(api, *resources):
    return api("POST", "/v1/traces", json={"resourceSpans": list(resources)})


def edges(api):
    return {(one["caller"], one["callee"]): one for one in api("GET", "/v1/topology").json()["edges"]}


def with_file(api, with_parts, services, clock=lambda: NOW, **settings):
    file = Topology.model_validate({"services": services})
    limits = DiscoverySettings(**settings)
    book = TopologyBook(file, Edges(api.parts.database, limits.max_edges), limits, clock)
    return with_parts(discovery=book, traces=TraceReader())


def test_a_span_below_one_of_another_service_is_a_dependency(api):
    told = send(api, spans("shop", ("a", None, None), ("b", "a", None)), spans("orders-db", ("c", "b", None)))
    assert (told.status_code, told.json()["accepted"], told.json()["calls"]) == (200, 3, 1)
    seen = api("GET", "/v1/topology").json()
    assert seen["services"]["shop"]["depends_on"] == ["orders-db"]
    [edge] = seen["edges"]
    assert (edge["caller"], edge["callee"], edge["sources"], edge["used"]) == ("shop", "orders-db", ["traces"], True)


def test_spans_of_one_trace_may_come_in_several_requests_in_any_order_and_twice(api):
    send(api, spans("orders-db", ("c", "b", None)))
    assert edges(api) == {}
    for _ in range(2):
        send(api, spans("shop", ("b", None, None)))
        send(api, spans("orders-db", ("c", "b", None)))
    assert edges(api)["shop", "orders-db"]["calls"] == 1


def test_a_service_that_sends_no_spans_is_named_by_its_caller(api):
    send(api, spans("shop", ("a", None, "payments")), spans("payments", ("b", "a", None)))
    assert edges(api)["shop", "payments"]["calls"] == 1


def test_what_is_wrong_is_named_and_the_rest_is_taken(api):
    nameless = {"resource": {}, "scopeSpans": [{"spans": [{"traceId": "t", "spanId": "s"}]}]}
    told = send(api, spans("shop", ("a", None, "db"), ("", None, None)), nameless).json()
    assert told["accepted"] == 1
    assert [one["path"] for one in told["refused"]] == [
        "$.resourceSpans[0].scopeSpans[0].spans[1].spanId",
        "$.resourceSpans[1].resource.attributes",
    ]
    assert told["partialSuccess"]["rejectedSpans"] == 2
    assert send(api, nameless).status_code == 422
    assert api("POST", "/v1/traces", json={"spans": []}).status_code == 422
    assert api("POST", "/v1/traces", json={"resourceSpans": {}}).json()["errors"][0]["path"] == "$.resourceSpans"
    protobuf = api("POST", "/v1/traces", content=b"\n\x00", headers={"Content-Type": "application/x-protobuf"})
    assert protobuf.status_code == 415
    assert "http/json" in protobuf.json()["detail"]


def test_traces_need_a_sender_and_the_topology_a_viewer(api):
    body = {"resourceSpans": [spans("shop", ("a", None, "db"))]}
    assert api.client.post("/v1/traces", json=body).status_code == 401
    assert api.client.post("/v1/traces", json=body, headers=api.as_role("viewer")).status_code == 403
    assert api.client.post("/v1/traces", json=body, headers=api.as_role("sender")).status_code == 200
    assert api.client.get("/v1/topology").status_code == 401


def test_what_the_file_says_of_a_service_holds(api, with_parts):
    services = {"shop": {"depends_on": ["orders-db"]}, "mail": {"depends_on": []}, "web": {"labels": {"process": "w"}}}
    api = with_file(api, with_parts, services)
    send(api, spans("shop", ("a", None, "ads")), spans("mail", ("b", None, "ads")), spans("web", ("c", None, "shop")))
    known = api("GET", "/v1/topology").json()["services"]
    assert known["shop"]["depends_on"] == ["orders-db"]
    assert known["mail"]["depends_on"] == []
    assert (known["web"]["depends_on"], known["web"]["labels"]) == (["shop"], {"process": "w"})
    found = edges(api)
    assert found["shop", "orders-db"]["sources"] == ["file"]
    assert "file says" in found["shop", "ads"]["reason"]
    assert not found["mail", "ads"]["used"]


def test_a_dependency_that_is_not_seen_any_more_fades_and_is_forgotten(api, with_parts):
    now = [NOW]
    api = with_file(api, with_parts, {}, lambda: now[0], fade=timedelta(hours=1))
    send(api, spans("shop", ("a", None, "db")))
    assert edges(api)["shop", "db"]["used"]
    now[0] += timedelta(hours=2)
    assert edges(api)["shop", "db"]["reason"] == "not seen lately"
    assert api("GET", "/v1/topology").json()["services"] == {}
    now[0] += timedelta(hours=3)
    send(api, spans("web", ("b", None, "shop")))
    assert list(edges(api)) == [("web", "shop")]


def test_made_up_names_do_not_fill_the_store(api, with_parts):
    api = with_file(api, with_parts, {}, max_edges=3)
    told = send(api, *[spans(f"s{n}", (f"a{n}", None, "db")) for n in range(5)])
    assert told.json()["edges_refused"] == 2
    assert len(edges(api)) == 3


def test_the_memory_of_spans_is_bounded():
    reader = TraceReader(remembered=10)
    for number in range(100):
        reader.read({"resourceSpans": [spans("shop", (f"p{number}", f"x{number}", None))]})
    assert (len(reader._spans), len(reader._awaited)) == (10, 10)


def test_counters_that_name_both_ends_show_dependencies(api):
    asked = []

    def query(expression, at):
        asked.append(expression)
        ends = [("shop", "db", 12.0), ("user", "shop", 5.0), ("shop", "shop", 5.0), ("shop", "bad", float("nan"))]
        return [Sample(labels={"client": a, "server": b}, at=at, value=value) for a, b, value in ends]

    metrics = DiscoverySettings().metrics[:1]
    MetricDiscovery(metrics, SimpleNamespace(query=query), api.parts.discovery, lambda: NOW).tick()
    assert list(edges(api)) == [("shop", "db")]
    assert edges(api)["shop", "db"]["sources"] == ["metrics"]
    assert asked == ["sum by (client, server) (increase(traces_service_graph_request_total[5m])) / 5 > 0"]


@pytest.mark.parametrize("seen", [True, False])
def test_signals_of_services_that_were_seen_to_depend_on_each_other_are_one_incident(api, seen):
    if seen:
        send(api, spans("shop", ("a", None, "orders-db")))
    signals = [
        {"kind": "alert", "name": "HighErrorRate", "labels": {"service": "shop"}, "severity": "critical"},
        {"kind": "alert", "name": "PostgresDown", "labels": {"service": "orders-db"}, "severity": "critical"},
    ]
    api("POST", "/v1/signals", json={"signals": signals})
    found = api("GET", "/v1/incidents").json()["items"]
    assert len(found) == (1 if seen else 2)
    if seen:
        assert api("GET", f"/v1/incidents/{found[0]['id']}").json()["culprits"][0]["service"] == "orders-db"


def test_the_embedded_source_answers_what_discovery_asks(api):
    labels = {"__name__": "mesh_calls_total", "from": "shop", "to": "db"}
    samples = [{"labels": labels, "at": NOW.timestamp() - age, "value": 600 - age} for age in (240, 120, 0)]
    assert api("POST", "/v1/telemetry", json={"samples": samples}).status_code == 202
    metric = CallMetric(metric="mesh_calls_total", caller="from", callee="to")
    MetricDiscovery([metric], EmbeddedSource(api.parts.samples), api.parts.discovery, lambda: NOW).tick()
    assert edges(api)["shop", "db"]["calls"] > 40


def test_the_settings_of_the_page_are_the_defaults():
    page = (Path(__file__).parents[3] / "docs" / "topology.md").read_text()
    written = yaml.safe_load(re.search(r"```yaml\n(discovery:.*?)```", page, re.DOTALL)[1])
    assert DiscoverySettings.model_validate(written["discovery"]) == DiscoverySettings()
