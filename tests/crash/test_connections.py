"""Slow and broken connections to a target: it is asked for the effect, and nothing is sent a second time blindly."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from models.domain.base import utc_now
from models.domain.execution import Decision, Execution, ExecutionState
from models.domain.recommendation import Candidate
from models.domain.runbook import Check, Step
from service.executors.http import HttpExecutor
from service.ports import Context
from service.remediation.acting import Actor
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.executions import Executions

TIMEOUT = 1.5
LATE_SECONDS = 0.5
ORDER = {
    "method": "POST",
    "path": "/orders/{{ key }}",
    "observe": {"path": "/orders/{{ key }}", "happened": "response.body.done"},
}


class Shop(BaseHTTPRequestHandler):
    """The target: a POST is an effect, which it writes down before it answers."""

    def do_POST(self):
        self.server.effects.append(self.path)
        self._answer({"done": True})

    def do_GET(self):
        self._answer({"done": self.path in self.server.effects})

    def _answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


class Proxy:
    """Stands before the target. Each connection takes the next of `faults`; without one, it passes all through."""

    def __init__(self, port):
        self.faults = deque()
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                fault = self.faults.popleft() if self.faults else "none"
                self._threads.append(threading.Thread(target=self._carry, args=(connection, fault)))
                self._threads[-1].start()

    def _carry(self, connection, fault):
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536)
            if fault == "dropped with the request":
                return _reset(connection)
            if fault == "dropped after the request, which comes late":
                _reset(connection)
                time.sleep(LATE_SECONDS)
            answer = self._forwarded(request)
            if fault == "dropped before the answer":
                return _reset(connection)
            if fault == "drips":
                for byte in answer:
                    connection.sendall(bytes([byte]))
                    time.sleep(TIMEOUT / 20)
            return connection.sendall(answer)

    def _forwarded(self, request):
        with socket.create_connection(("127.0.0.1", self._port)) as target:
            target.sendall(request)
            answer = b""
            while more := target.recv(65536):
                answer += more
                if answer.endswith(b"}"):
                    break
            return answer


def _reset(connection):
    """RST instead of FIN: what a peer sees of a machine that lost the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def shop():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.effects = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(shop):
    made = Proxy(shop.server_address[1])
    yield made
    made.close()


@pytest.fixture
def act(tmp_path, proxy):
    """Lets an execution act through the proxy: its result."""
    database = open_database(f"sqlite:///{tmp_path / 'suture.db'}")
    executions = Executions(database, AuditLog(database, utc_now), utc_now)

    def act(*faults, operation=ORDER):
        proxy.faults.extend(faults)
        target = {"base_url": proxy.url, "private": True, "operations": {"order": operation}}
        context = Context(clock=utc_now, secret=lambda reference: reference)
        http = HttpExecutor.build({"targets": {"shop": target}}, context)
        step = Step(uses="http/call", arguments={"target": "shop", "operation": "order", "parameters": {}})
        candidate = Candidate(
            incident="INC-1", environment="default", service="shop", runbook="r", action="a", title="Order",
            uses=step.uses, arguments=step.arguments, target="http:shop", parameters={}, risk="low", reversible=True,
            approval="policy", timeout=timedelta(seconds=TIMEOUT), preconditions=(),
            verify=(Check(query="up", condition="== 1"),), rollback=None,
        )  # fmt: skip
        decision = Decision(
            candidate_hash=candidate.hash, verdict="permit", mode="auto", reason="may", decided_at=utc_now()
        )
        execution = Execution(
            id="EXE-1",
            incident="INC-1",
            candidate=candidate,
            probability=0.9,
            decision=decision,
            created_at=utc_now(),
            state=ExecutionState.RUNNING,
        )
        executions.add(execution, "workflow")
        return Actor({"http": http}, executions, utc_now).act(execution, "act", step).result

    yield act
    database.close()


@pytest.mark.parametrize(
    ("fault", "result", "effects"),
    [
        ("none", "done", 1),
        ("dropped with the request", "failed", 0),
        ("dropped after the request, which comes late", "done", 1),
        ("dropped before the answer", "done", 1),
        ("drips", "done", 1),
    ],
)
def test_a_target_that_can_be_asked_is_asked(act, shop, fault, result, effects):
    assert act(fault) == result
    assert len(shop.effects) == effects


@pytest.mark.parametrize("fault", ["dropped with the request", "dropped before the answer", "drips"])
def test_a_target_that_cannot_be_asked_is_a_persons_matter(act, shop, fault):
    assert act(fault, operation={**ORDER, "observe": None}) == "uncertain"
    assert len(shop.effects) == (fault != "dropped with the request")


def test_a_question_that_breaks_off_is_no_answer(act, shop):
    assert act("dropped before the answer", "dropped before the answer") == "uncertain"
    assert len(shop.effects) == 1


def test_what_may_be_repeated_is_repeated(act, shop):
    idempotent = {**ORDER, "observe": None, "idempotent": True}
    assert act("dropped before the answer", operation=idempotent) == "done"
    assert len(shop.effects) == 2
