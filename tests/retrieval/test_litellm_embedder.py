from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from models.domain.errors import BadInput, Unavailable
from retrieval.litellm_embedder import build


@dataclass
class Served:
    """An embedding endpoint in OpenAI's form on loopback."""

    url: str
    status: int = 200
    size: int = 3
    short: int = 0
    requests: list[dict] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest.fixture
def served():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append(body)
            state.keys.append(self.headers["Authorization"])
            count = len(body["input"]) - state.short
            rows = [{"object": "embedding", "index": n, "embedding": [float(n + 1)] * state.size} for n in range(count)]
            answer = {
                "object": "list",
                "model": "m",
                "data": rows[::-1],
                "usage": {"prompt_tokens": 1, "total_tokens": 1},
            }
            payload = json.dumps(answer if state.status == 200 else {"error": {"message": "no capacity"}}).encode()
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Served(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


class Context:
    def secret(self, reference: str) -> str:
        return {"env:KEY": "sk-test"}[reference]


def embedder(served: Served, **config):
    return build({"model": "openai/m", "base_url": served.url, "api_key": "env:KEY", **config}, Context())


def test_texts_go_in_batches_and_vectors_come_back_in_order_with_length_one(served):
    made = embedder(served, batch=2)
    assert made.dimension == 0
    vectors = made.embed(["a", "b", ""])
    assert vectors.shape == (3, 3)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert made.dimension == 3
    assert made.identity == "litellm/openai/m"
    assert [len(request["input"]) for request in served.requests] == [2, 1]
    assert served.requests[1]["input"][0].strip()
    assert set(served.keys) == {"Bearer sk-test"}
    assert made.embed([]).shape == (0, 3)


def test_no_secret_and_no_address_of_a_person_leaves(served):
    embedder(served).embed(["the log says password=Zebra77stripes", "ask ann@example.com about pg_up"])
    sent = json.dumps(served.requests)
    assert "pg_up" in sent
    for secret in ("Zebra77stripes", "ann@example.com"):
        assert secret not in sent


def test_an_endpoint_that_fails_is_unavailable(served):
    served.status = 500
    with pytest.raises(Unavailable, match=r"the embedding model openai/m does not answer: .*no capacity"):
        embedder(served).embed(["a"])
    served.status, served.short = 200, 1
    with pytest.raises(Unavailable, match=r"answer of shape \(1, 3\) for 2 texts"):
        embedder(served).embed(["a", "b"])


def test_a_size_that_changes_is_refused(served):
    made = embedder(served)
    made.embed(["a"])
    served.size = 5
    with pytest.raises(BadInput, match="vectors of 5 numbers, before it was 3"):
        made.embed(["a"])


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({}, "embedder.config.model"),
        ({"model": "m", "modle": 1}, "embedder.config.modle"),
        ({"model": "m", "batch": 0}, "embedder.config.batch"),
        ({"model": "m", "timeout": "soon"}, "embedder.config.timeout"),
        ({"model": "m", "api_key": "env:KEY"}, "embedder.config.api_key"),
    ],
)
def test_wrong_settings_are_named(config, where):
    with pytest.raises(BadInput, match=where):
        build(config)
