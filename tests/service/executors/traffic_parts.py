"""Backends that say who they are, a router of our own that reads the `json` file, and load through a router."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from models.domain.base import utc_now
from service.executors.traffic import TrafficExecutor
from service.ports import Call, Context

CONTEXT = Context(clock=utc_now, secret=lambda reference: reference)

# Reads its file at the start and on SIGHUP; answers with the server it would send to. A file with the server
# `deadly:1` ends it, `deaf:1` is not taken: what a router may do with a file that its check let pass.
ROUTER = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
file, port, pid_file = sys.argv[1:]
said = None
def load(*_):
    global said
    servers = json.load(open(file))["servers"]
    if servers == ["deadly:1"]:
        os._exit(3)
    if servers != ["deaf:1"]:
        said = servers[0]
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = said.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
load()
signal.signal(signal.SIGHUP, load)
server = HTTPServer(("127.0.0.1", int(port)), Handler)
open(pid_file, "w").write(str(os.getpid()))
server.serve_forever()
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def make(**routers: dict) -> TrafficExecutor:
    return TrafficExecutor.build({"routers": routers}, CONTEXT)


def call(to: str, *, router: str = "shop", key: str = "exec-1:act", timeout: float = 20, **more) -> Call:
    return Call(key, "switch", {"router": router, "to": to}, timedelta(seconds=timeout), **more)


def until(found: Callable[[], bool], words: str, seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, words
        time.sleep(0.05)


@contextmanager
def running(argv: list[str], ready: Callable[[], bool], log: Path, *, stop: int = signal.SIGTERM) -> Iterator[int]:
    """A process of the test's, from when it is ready until it has ended; gives its id."""
    with log.open("w") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, start_new_session=True)
    try:
        until(lambda: ready() or process.poll() is not None, "not ready")
        assert process.poll() is None, log.read_text()
        yield process.pid
    finally:
        process.send_signal(stop)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def json_router(file: Path) -> Iterator[dict]:
    """A running router; gives the settings that reach it."""
    port, pid_file = free_port(), file.parent / "router.pid"
    argv = [sys.executable, "-c", ROUTER, str(file), str(port), str(pid_file)]
    # The pid file is complete when it has a number in it.
    ready = lambda: pid_file.exists() and pid_file.read_text() != ""  # noqa: E731
    with running(argv, ready, file.parent / "router.log"):
        yield {
            "reload": {"signal": "HUP", "pid_file": str(pid_file)},
            "status": {"url": f"http://127.0.0.1:{port}/", "within": "2s"},
        }


@contextmanager
def backend(name: str) -> Iterator[str]:
    """A server that answers with its name; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # A router that closes a connection it kept open, by a reset: no error, and nothing to print.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Load:
    """Requests through a router from several threads, each on a new connection, until it is stopped."""

    def __init__(self, port: int, threads: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answer: str, more: int) -> None:
        """Until `answer` came so many times more than now."""
        enough = self.answers[answer] + more
        until(lambda: self.answers[answer] >= enough, f"{answer} does not answer: {self.answers} {self.failures[:3]}")

    def _send(self) -> None:
        while not self._stop.wait(0.005):
            try:
                answer = get(self._port)
            except (OSError, http.client.HTTPException) as error:
                answer = repr(error)
            with self._lock:
                if answer in ("primary", "standby"):
                    self.answers[answer] += 1
                else:
                    self.failures.append(answer)


def get(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        text = response.read().decode()
        return text if response.status == 200 else f"{response.status} {text}"
    finally:
        connection.close()
