"""Facts as `when` sees them: certificates of a real server and of a file, drift of files, pages, queries, topology."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from models.domain.base import utc_now
from models.domain.errors import BadInput, Unavailable
from models.domain.signal import Sample
from models.domain.topology import Topology
from service.cli.main import app
from service.standing_checks.facts import Means
from service.standing_checks.format import StandingCheck, load_checks
from service.standing_checks.measuring import measure
from tests.service.executors.certificate_parts import Authority, tls_server


class Source:
    """Answers each query from a table; None: it does not answer."""

    name = "table"

    def __init__(self, **answers):
        self.answers = answers

    def query(self, expression, at):
        found = self.answers.get(expression, [])
        if found is None:
            raise Unavailable("Prometheus does not answer")
        return [Sample(labels=labels, at=at, value=value) for labels, value in found]


def means(**answers):
    topology = Topology.model_validate({"services": {"shop": {}, "mail": {}}})
    return Means(Source(**answers), topology, utc_now)


def check(**fields):
    return StandingCheck.model_validate({"id": "c", "when": "true"} | fields)


@pytest.fixture
def served(tmp_path):
    """A TLS server with a certificate for shop.test that ends in ten days; gives its address, the CA and the file."""
    authority = Authority(tmp_path)
    chain, key = authority.write_pair(tmp_path, "shop.test", days=10)
    with tls_server(chain, key) as server:
        yield server["serves"], authority.certificate, chain


def test_a_certificate_that_is_served(served):
    address, ca, _ = served
    one = check(
        facts={"served": {"certificate": address, "server_name": "shop.test", "ca": str(ca)}},
        when="facts.served.days_left < 14.0",
    )
    found = measure(one, means())
    assert found.problem is None
    assert found.violations[0].measured.startswith("served.days_left is 10")
    ok = check(facts=one.model_dump(exclude_unset=True)["facts"], when="!facts.served.accepted")
    assert measure(ok, means()).violations == ()
    unknown = check(
        facts={"served": {"certificate": address, "server_name": "shop.test"}}, when="!facts.served.accepted"
    )
    assert "accepted is False" in measure(unknown, means()).violations[0].measured


def test_a_server_that_does_not_answer_is_not_known():
    one = check(facts={"served": {"certificate": "127.0.0.1:1"}}, when="facts.served.days_left < 14.0")
    found = measure(one, means())
    assert found.violations == ()
    assert "127.0.0.1:1" in found.problem


def test_a_certificate_in_a_file(served):
    _, _, chain = served
    one = check(facts={"file": {"certificate_file": str(chain)}}, when='!("shop.test" in facts.file.names)')
    found = measure(one, means())
    assert (found.problem, found.violations) == (None, ())
    missing = check(facts={"file": {"certificate_file": "/nowhere.pem"}}, when="facts.file.days_left < 1.0")
    assert "cannot be read" in measure(missing, means()).problem


def test_drift_between_a_declared_file_and_a_running_page(tmp_path):
    declared = tmp_path / "declared.json"
    declared.write_text('{"workers": 4}')
    running = {"body": b'{"workers": 4}'}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(running["body"])

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    facts = {"declared": {"file": str(declared)}, "running": {"http": f"http://127.0.0.1:{server.server_port}/config"}}
    same = check(facts=facts, when="facts.declared.sha256 != facts.running.sha256")
    workers = check(facts=facts, when="facts.declared.json.workers != facts.running.json.workers")
    try:
        assert measure(same, means()).violations == ()
        running["body"] = b'{"workers": 2}'
        assert measure(same, means()).violations
        assert measure(workers, means()).violations
        running["body"] = b"<html>"
        assert measure(same, means()).violations
        assert "json" in measure(workers, means()).problem
    finally:
        server.shutdown()
        server.server_close()


def test_a_file_that_is_gone_is_drift_and_one_that_cannot_be_read_is_not_known(tmp_path):
    gone = check(facts={"f": {"file": str(tmp_path / "gone")}}, when="!facts.f.exists")
    assert measure(gone, means()).violations
    folder = check(facts={"f": {"file": str(tmp_path)}}, when="!facts.f.exists")
    assert "cannot be read" in measure(folder, means()).problem


def test_the_topology_against_what_is_scraped():
    one = check(
        facts={"declared": {"topology": "services"}, "running": {"query": "seen", "label": "service"}},
        when="!facts.running.names.all(name, name in facts.declared.names)",
    )
    assert measure(one, means(seen=[({"service": "shop"}, 1.0)])).violations == ()
    assert measure(one, means(seen=[({"service": "shop"}, 1.0), ({"service": "new"}, 1.0)])).violations
    assert measure(one, means()).problem == "running: there is no data"
    assert measure(one, means(seen=None)).problem == "running: Prometheus does not answer"


def test_two_queries_compared():
    facts = {"declared": {"value": 3}, "running": {"query": "n", "empty": "ok"}}
    one = check(facts=facts, when="facts.running.value < double(facts.declared)")
    assert measure(one, means(n=[({}, 3.0)])).violations == ()
    assert measure(one, means(n=[({}, 2.0)])).violations
    assert "no value" in measure(one, means(n=[({"pod": "a"}, 2.0), ({"pod": "b"}, 2.0)])).problem
    none = check(facts=facts, when="facts.running.count == 0")
    assert measure(none, means()).violations


def test_a_rule_that_is_neither_true_nor_false_is_not_known():
    found = measure(check(query="q", when="sample.value"), means(q=[({}, 1.0)]))
    assert "neither true nor false" in found.problem
    found = measure(check(query="q", when='sample.labels.owner == "x"'), means(q=[({}, 1.0)]))
    assert "owner" in found.problem
    assert measure(check(query="q", empty="ok"), means()).problem is None
    assert measure(check(query="q"), means()).problem == "there is no data"


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("- {id: a, query: up, when: sample.worth > 1}", 2, "no field 'worth'"),
        ("- {id: a, query: up, when: facts.x}", 2, "there is no 'facts'"),
        ("- {id: a, query: 'up{', when: 'true'}", 2, "not PromQL"),
        ("- {id: a, when: 'true'}", 2, "needs query, sql or facts"),
        ("- {id: a, query: up, when: 'true', every: 1s}", 2, "10s or more"),
        ("- {id: a, facts: {x: {}}, when: 'true'}", 2, "needs one of query"),
        ("- {id: a, facts: {x: {file: /a, http: http://b}}, when: 'true'}", 2, "not http and file"),
        ("- {id: a, facts: {x: {certificate: no-port}}, when: 'true'}", 2, "certificate"),
        ("- {id: a, query: up, when: 'true'}\n  - {id: a, query: up, when: 'true'}", 3, "twice"),
        ("- {id: a, query: up, when: 'sample.value >'}", 2, "not a CEL expression"),
        ("- {id: a, query: up, wen: 'true'}", 2, "wen"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(tmp_path, body, line, words):
    file = tmp_path / "checks.yaml"
    file.write_text(f"checks:\n  {body}\n")
    with pytest.raises(BadInput) as caught:
        load_checks(file)
    assert f"{file}:{line}" in str(caught.value)
    assert words in str(caught.value)
    answer = CliRunner().invoke(app, ["check", "lint", str(file)])
    assert answer.exit_code == 2
    assert words in answer.stderr


def test_run_measures_now_and_says_by_its_exit(tmp_path, monkeypatch):
    monkeypatch.setenv("SUTURE_STATE_DIR", str(tmp_path / "state"))
    declared = tmp_path / "declared"
    declared.write_text("a")
    file = tmp_path / "checks.yaml"
    rule = {"id": "drift", "facts": {"f": {"file": str(declared)}}, "when": 'facts.f.text != "a"'}
    file.write_text(json.dumps({"checks": [rule, {"id": "limit", "query": "up", "when": "sample.value < 1.0"}]}))
    run = lambda *names: CliRunner().invoke(app, ["check", "run", *names, "--file", str(file)])  # noqa: E731
    assert run("drift").exit_code == 0
    assert run().exit_code == 1  # nothing is known of `up`
    assert "there is no data" in run("limit").stdout
    declared.write_text("b")
    assert (run("drift").exit_code, "violated" in run("drift").stdout) == (1, True)
    assert run("drifts").exit_code == 2
