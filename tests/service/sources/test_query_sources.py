"""The two sources that answer queries: embedded, and a Prometheus server's HTTP API."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from urllib.parse import parse_qs

import numpy as np
import pytest

from models.detection.batch import Batch
from models.domain.errors import BadInput, Unavailable
from service.ports import Context
from service.sources import embedded, prometheus
from service.store.samples import SampleStore

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def context(samples=None):
    secrets = {"env:TOKEN": "t0ken\n", "env:PASSWORD": "pa55", "env:TWO": "a\nb", "env:EMPTY": ""}
    return Context(clock=lambda: AT, secret=secrets.__getitem__, samples=samples)


@pytest.fixture
def server(loopback):
    """Answers every request with this JSON."""

    def answering(answer, status=200):
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        loopback.answer = lambda _: loopback.Answer(status, body, {"Content-Type": "application/json"})
        return loopback

    return answering


def success(kind, result):
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def source(loopback, **config):
    return prometheus.build({"url": loopback.url, **config}, context())


def test_the_embedded_source_answers_from_the_samples(tmp_path):
    store = SampleStore(f"sqlite:///{tmp_path}/s.db", retention=timedelta(hours=1), max_series=9, clock=lambda: AT)
    store.append(Batch(AT.timestamp(), ({"__name__": "up", "service": "shop"},), np.array([0.0])))
    built = embedded.build({}, context(store))
    assert [(found.labels["service"], found.value) for found in built.query("up == 0", AT)] == [("shop", 0.0)]
    assert built.healthy()
    store.close()


def test_the_embedded_source_is_unhealthy_where_samples_cannot_be_read():
    class Broken:
        def select(self, *_):
            raise Unavailable("no")

    assert not embedded.build({}, context(Broken())).healthy()


def test_the_embedded_source_needs_samples_and_no_settings():
    with pytest.raises(BadInput, match="needs the sample store"):
        embedded.build({}, context())
    with pytest.raises(BadInput, match=r"source\.config: .* remove url"):
        embedded.build({"url": "x"}, context())


def test_both_sources_are_found_by_their_names():
    names = {point.name: point.load() for point in entry_points(group="suture.sources")}
    assert names["embedded"] is embedded.build
    assert names["prometheus"] is prometheus.build


def test_a_vector_is_read_as_samples(server):
    rows = [
        {"metric": {"__name__": "up", "service": "shop"}, "value": [AT.timestamp(), "0"]},
        {"metric": {"service": "db"}, "value": [AT.timestamp(), "+Inf"]},
        {"metric": {"service": "native"}, "histogram": [AT.timestamp(), {}]},
    ]
    loopback = server(success("vector", rows))
    found = source(loopback, headers={"X-Scope-OrgID": "acme"}).query("up == 0", AT)
    assert [(sample.labels, sample.at, sample.value) for sample in found] == [
        ({"__name__": "up", "service": "shop"}, AT, 0.0),
        ({"service": "db"}, AT, float("inf")),
    ]
    (request,) = loopback.received
    assert (request.method, request.path, request.headers["x-scope-orgid"]) == ("POST", "/api/v1/query", "acme")
    assert parse_qs(request.body.decode()) == {
        "query": ["up == 0"], "time": [f"{AT.timestamp():.3f}"], "timeout": ["10s"],
    }  # fmt: skip


def test_a_scalar_is_one_sample_without_labels(server):
    (sample,) = source(server(success("scalar", [AT.timestamp(), "2.5"]))).query("2.5", AT)
    assert (sample.labels, sample.value) == ({}, 2.5)


def test_credentials_are_read_by_reference(server):
    loopback = server(success("vector", []))
    source(loopback, bearer_token="env:TOKEN").query("up", AT)
    source(loopback, username="ann", password="env:PASSWORD").query("up", AT)
    assert [request.headers["authorization"] for request in loopback.received] == [
        "Bearer t0ken",
        "Basic " + base64.b64encode(b"ann:pa55").decode(),
    ]


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_expression_is_bad_input_with_the_servers_words(server, status):
    loopback = server({"status": "error", "errorType": "bad_data", "error": "parse error: unclosed"}, status)
    with pytest.raises(BadInput, match="refuses the expression: bad_data: parse error: unclosed"):
        source(loopback).query("sum(", AT)


def test_a_range_is_no_instant_vector(server):
    with pytest.raises(BadInput, match="gives a matrix"):
        source(server(success("matrix", []))).query("up[5m]", AT)


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, {}, r"refuses the credentials \(401\)"),
        (503, {"status": "error", "errorType": "timeout", "error": "too slow"}, r"failed \(503\): timeout: too slow"),
        (502, b"<html>", r"\(502\) is not the API of Prometheus"),
        (404, b"404 page not found", "is not the API of Prometheus"),
        (200, b"[]", "is not the API of Prometheus"),
        (200, {"status": "success"}, "without data"),
        (200, success("vector", [{"metric": {}, "value": [1, "many"]}]), "cannot be read"),
        (200, success("vector", None), "cannot be read"),
    ],
)
def test_a_server_that_cannot_answer_is_unavailable(server, status, answer, words):
    loopback = server(answer, status)
    asked = source(loopback)
    with pytest.raises(Unavailable, match=words):
        asked.query("up", AT)
    assert not asked.healthy()


def test_a_slow_server_is_unavailable(loopback):
    loopback.answer = lambda _: loopback.Answer(200, b"{} ", pause=1)
    with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
        source(loopback, timeout="200ms").query("up", AT)


def test_a_server_that_hangs_up_is_unavailable(loopback):
    loopback.answer = lambda _: None
    with pytest.raises(Unavailable, match="cannot be reached"):
        source(loopback).query("up", AT)


def test_it_is_healthy_where_it_answers(server):
    assert source(server(success("vector", [{"metric": {}, "value": [1, "1"]}]))).healthy()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "url"),
        ({"url": "prometheus:9090"}, "url"),
        ({"url": "http://p", "timeout": "0s"}, "timeout: .*longer than 0s"),
        ({"url": "http://p", "timeout": "soon"}, "timeout: .*not a duration"),
        ({"url": "http://p", "token": "x"}, "token"),
        ({"url": "http://p:port"}, "cannot be used"),
        ({"url": "http://p", "proxy": "nonsense"}, "cannot be used"),
        ({"url": "http://p", "bearer_token": "env:TWO"}, "env:TWO is empty or no line"),
        ({"url": "http://p", "username": "x", "password": "env:EMPTY"}, "env:EMPTY is empty or no line"),
        ({"url": "http://p", "username": "x"}, "belong together"),
        ({"url": "http://p", "username": "x", "password": "env:PASSWORD", "bearer_token": "env:TOKEN"}, "not both"),
    ],
)
def test_wrong_settings_are_named(config, words):
    with pytest.raises(BadInput, match=rf"source\.config: .*{words}"):
        prometheus.build(config, context())
