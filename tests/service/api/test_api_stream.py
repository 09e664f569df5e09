"""Recommendations as server-sent events, from a real server: what comes when, and what a client that leaves ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
import uvicorn

from models.domain.errors import Unavailable
from models.language.transport import Reply
from service.api import create_api
from service.api.event_stream import EventStreams

QUOTE = "The alert ShopBroken fires and requests fail."
INCIDENT = {
    "title": "The alert ShopBroken fires and requests fail",
    "labels": {"service": "shop"},
    "signals": [{"kind": "alert", "name": "ShopBroken", "labels": {"service": "shop"}, "text": "requests fail"}],
}
INVENTED = {
    "text": "All requests fail since the backups were deleted.",
    "quote": "backups were deleted",
    "passage": "p1",
}
GOOD = {"text": "The alert ShopBroken fires and requests fail.", "quote": QUOTE, "passage": "p1"}


class Writer:
    """Writes an answer slowly, statement by statement; waits for the test before its last word."""

    name = "writer"

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.ended = threading.Event()
        self.failure: Exception | None = None

    def ask(self, question, heard=None) -> Reply:
        if self.failure:
            raise self.failure
        text = json.dumps(
            {"order": ["c1"], "candidates": [{"id": "c1", "justification": [INVENTED, GOOD]}], "advice": []}
        )
        end = text.index('], "advice"')
        try:
            if heard:
                heard(text[:end])
                while not self.go_on.wait(0.02):
                    heard("")
                heard(text[end:])
        finally:
            self.ended.set()
        return Reply(text, prompt_tokens=5, completion_tokens=7)


@pytest.fixture
def serving(installation, make_runbook) -> Iterator[tuple[httpx.Client, Writer]]:
    """A client with a key, and the model behind the service."""
    make_runbook()
    parts = installation().parts
    parts.corpus.sync()
    model = Writer()
    parts = replace(parts, pipeline=replace(parts.pipeline, model=model))
    _, key = parts.keys.create("test", "sender", "test")
    listener = socket.create_server(("127.0.0.1", 0))
    api = create_api(parts)
    api.state.streams = EventStreams(most=1)
    server = uvicorn.Server(uvicorn.Config(api, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        yield client, model
    model.go_on.set()
    server.should_exit = True
    thread.join(30)
    listener.close()


def events(lines: Iterator[str]) -> Iterator[tuple[str, str, dict]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


def test_the_evidence_comes_first_then_checked_statements_then_the_whole(serving):
    client, model = serving
    with client.stream("POST", "/v1/recommendations/stream", json=INCIDENT) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        coming = events(answer.iter_lines())
        number, name, evidence = next(coming)
        assert (number, name) == ("1", "evidence")
        assert evidence["model"] is None
        assert evidence["candidates"][0]["runbook"] == "fix-shop"
        assert not model.go_on.is_set(), "nobody waited for the model"
        number, name, statement = next(coming)
        assert (number, name) == ("2", "statement")
        assert (statement["runbook"], statement["action"]) == ("fix-shop", "fix")
        assert statement["text"] == GOOD["text"]
        assert statement["citations"][0]["quote"] == QUOTE
        model.go_on.set()
        number, name, whole = next(coming)
        assert (number, name) == ("3", "done")
        assert GOOD["text"] in whole["candidates"][0]["justification"]
        assert (whole["model"]["sentences"], whole["model"]["shown"]) == (2, 1)
        assert list(coming) == []
        assert INVENTED["text"] not in json.dumps([evidence, statement, whole])


def test_a_client_that_leaves_ends_the_call(serving):
    client, model = serving
    with client.stream("POST", "/v1/recommendations/stream", json=INCIDENT) as answer:
        next(events(answer.iter_lines()))
    assert model.ended.wait(60), "the model writes on for nobody"
    assert not model.go_on.is_set()


def test_a_model_that_fails_leaves_the_evidence(serving):
    client, model = serving
    model.failure = Unavailable("writer gave no answer within 20s")
    with client.stream("POST", "/v1/recommendations/stream", json=INCIDENT) as answer:
        found = list(events(answer.iter_lines()))
    assert [name for _, name, _ in found] == ["evidence", "done"]
    assert found[1][2]["model"]["failure"] == "writer gave no answer within 20s"
    assert found[1][2]["candidates"] == found[0][2]["candidates"]


def test_bad_input_and_strangers_get_plain_answers(serving):
    client, _ = serving
    assert client.post("/v1/recommendations/stream", json={"titel": "x"}).status_code == 422
    assert client.post("/v1/recommendations/stream", json=INCIDENT, headers={"Authorization": ""}).status_code == 401


def test_streams_are_limited(serving):
    client, model = serving
    with client.stream("POST", "/v1/recommendations/stream", json=INCIDENT) as answer:
        coming = events(answer.iter_lines())  # held: without its reader the answer would be closed
        next(coming)
        refused = client.post("/v1/recommendations/stream", json=INCIDENT)
        assert refused.status_code == 503
        assert "try again" in refused.json()["detail"]
        model.go_on.set()
