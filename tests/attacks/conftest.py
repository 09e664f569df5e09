"""What every attack uses: the count of cases, a target that records what reached it, and a place for documents."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.attacks.tally import Attack, Tally

TALLY = pytest.StashKey[Tally]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TALLY] = Tally()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash[TALLY]
    if tally.tried:
        terminalreporter.section("attacks")
        for line in tally.lines():
            terminalreporter.write_line(line)


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Attack:
    """Counts a case of the family that the module names: `with attack(what, where): …`."""
    return Attack(request.config.stash[TALLY], request.module.FAMILY)


@dataclass
class Reached:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Target:
    """A server on loopback that records every request, and answers as told."""

    url: str
    reached: list[Reached] = field(default_factory=list)
    answer: Callable[[Reached], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"{}")


@pytest.fixture
def target() -> Iterator[Target]:
    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            one = Reached(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            found.reached.append(one)
            status, headers, content = found.answer(one)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked may have read enough
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Target(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def write_document(tmp_path: Path) -> Callable[[str, str], Path]:
    """Puts a file into the installation's folder of runbooks."""

    def write(name: str, text: str) -> Path:
        folder = tmp_path / "runbooks"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(text)
        return path

    return write
