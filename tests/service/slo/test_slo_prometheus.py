"""Objectives by PromQL over HTTP: a server answers as Prometheus's API does, from a store of its own."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest

from models.domain.errors import BadInput
from service.promql import evaluate
from service.store.samples import SampleStore

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Prometheus:
    """`/api/v1/query`, answered by the embedded PromQL; `away`: with 503."""

    def __init__(self, samples):
        self.samples, self.away, self.asked = samples, False, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.asked += 1
                body = outer.answer(form["query"][0], float(form["time"][0]))
                self.send_response(503 if outer.away else 200)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, query, at):
        if self.away:
            return {"status": "error", "errorType": "unavailable", "error": "starting"}
        try:
            found = evaluate(query, self.samples, datetime.fromtimestamp(at, UTC))
        except BadInput as error:
            return {"status": "error", "errorType": "bad_data", "error": str(error)}
        rows = [{"metric": sample.labels, "value": [at, str(sample.value)]} for sample in found]
        return {"status": "success", "data": {"resultType": "vector", "result": rows}}


@pytest.fixture
def prometheus(tmp_path, clock):
    samples = SampleStore(
        f"sqlite:///{tmp_path / 'prometheus.db'}", retention=timedelta(days=30), max_series=100, clock=clock
    )
    server = Prometheus(samples)
    yield server
    server.server.shutdown()
    server.server.server_close()
    samples.close()


@pytest.fixture
def build(build, prometheus):
    url = f"http://127.0.0.1:{prometheus.server.server_port}"
    return lambda **changes: build(source={"name": "prometheus", "config": {"url": url}}, **changes)


@pytest.fixture
def shop(shop, prometheus):
    shop.scrapes_to(prometheus.samples)
    return shop


def test_an_outage_is_found_and_minutes_without_an_answer_are_counted_afterwards(shop, prometheus):
    shop.rest(30)
    assert shop.status().events == pytest.approx(30 * 600)
    shop.run(3, errors=1.0)
    assert shop.status().state == "page"

    prometheus.away = True
    shop.run(1)
    asked = prometheus.asked
    shop.run(1)
    assert prometheus.asked - asked <= 2  # by one objective, and for the impact; the other one does not wait again
    assert shop.status().state == "page"
    assert "starting" in shop.status().problem
    assert shop.incidents()[0].signals[-1].status == "firing"

    prometheus.away = False
    shop.run(1, errors=0.0)
    assert shop.status().problem is None
    assert shop.status().events == pytest.approx(36 * 600)
    assert shop.status().budget_left == pytest.approx(1 - 5 / 36 / 0.001)
