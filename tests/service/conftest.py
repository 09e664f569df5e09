"""A real HTTP server on loopback that records what it gets; installations in which nothing runs beside the test."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from models.domain.base import utc_now


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0
    """Seconds between two bytes of the body."""


class Loopback:
    """`answer` decides on each request; None from it closes the connection without a word."""

    Answer = Answer

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Answer | None] = lambda _: Answer()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _handler(loopback) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.command, self.path, headers, body)
                loopback.received.append(received)
                answer = loopback.answer(received)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # the client may have left
                    self._send(answer)

            def _send(self, answer: Answer) -> None:
                if not answer.pause:
                    self.wfile.write(answer.body)
                    return
                for byte in answer.body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(answer.pause)

            do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Quiet."""

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    server = Loopback()
    yield server
    server.close()


class MovingClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock():
    return MovingClock()


@pytest.fixture
def build(make_settings, database_url, clock):
    """Makes installations over one database in which nothing runs beside the test."""
    from service.app import build_parts

    made = []

    def build(**changes):
        made.append(build_parts(make_settings(**({"database_url": database_url} | changes)), clock))
        return made[-1]

    yield build
    for parts in made:
        parts.close()
