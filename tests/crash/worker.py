"""The worker's side of the crash suite: a process that has everything imported, and forks one worker a life.

The imports of the stack take three seconds, a fork takes none: that is what makes hundreds of lives possible. Each life
is a whole worker over the installation's settings, as `suture serve --role worker` builds it; only the API's server is
left out, whose signals and words of people come over a socket instead. Whoever killed it, nothing of it is left.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

TESTS = Path(__file__).resolve().parents[1]
BIGGEST = 1 << 20
"""Bytes of a message."""
_MODULES = (
    "alembic.command",
    "chromadb.api.rust",
    "dbos._sys_db_postgres",
    "dbos._sys_db_sqlite",
    "httpx",
    "psycopg",
    "retrieval.chroma",
    "service.app",
    "service.promql",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
)
"""What a life would import otherwise, most of its time."""


def _import_everything() -> None:
    sys.path[:0] = [str(TESTS.parent), str(TESTS / "plugin"), str(TESTS / "crash" / "plugin")]
    for name in _MODULES:
        importlib.import_module(name)
    from service.registry import verb_catalogue

    verb_catalogue()


def main() -> NoReturn:
    """Fork a worker for each request that comes on standard input's socket, until it closes."""
    _import_everything()
    # A thread of a library would not be in the forks.
    assert threading.active_count() == 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    requests = socket.socket(fileno=0)
    requests.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, BIGGEST, 1)
        if not message:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            requests.close()
            _life(json.loads(message), socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])
        requests.send(str(pid).encode())


def _life(request: dict[str, Any], channel: socket.socket) -> None:
    """Work until killed, or until nobody listens any more. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    # Standard input is closed: the socket of requests was there.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        _Worker(request, channel).work()
    except BaseException:  # noqa: BLE001  (the log is all that is left of it)
        traceback.print_exc()
    finally:
        os._exit(1)


class _Clock:
    """The machine's clock, set forward or back by so much."""

    def __init__(self, shift: float) -> None:
        self.shift = timedelta(seconds=shift)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


class _Worker:
    def __init__(self, request: dict[str, Any], channel: socket.socket) -> None:
        from service.app import build_parts
        from service.settings import load_settings
        from service.telemetry import configure_logging
        from tests.crash.boundaries import Arm, Boundaries, watch
        from tests.crash.mutations import MUTATIONS

        self._channel = channel
        os.environ["SUTURE_CONFIG"] = request["config"]
        configure_logging("info", "text")
        self._clock = _Clock(request["shift"])
        for name in request["mutations"]:
            MUTATIONS[name]()
        self._parts = build_parts(load_settings(state_dir=request["state"]), self._clock)
        self._cases: dict[int, str] = {}
        self._boundaries = Boundaries(
            Arm(request["at"], request["beyond"]), self._tell, self._case_of, request["holds"]
        )
        watch(self._parts, self._boundaries)

    def work(self) -> None:
        from service.app import start_role

        start_role(self._parts, "worker")
        self._tell({"ready": True})
        while message := self._channel.recv(BIGGEST):
            asked = json.loads(message)
            try:
                answer = {"answer": self._do(asked)}
            except Exception as error:  # noqa: BLE001  (who asked learns of it, as an API's client would)
                answer = {"error": f"{type(error).__name__}: {error}"}
            self._tell({"to": asked["number"], **answer})

    def _tell(self, message: dict[str, Any]) -> None:
        self._channel.send(json.dumps(message).encode())

    def _do(self, asked: dict[str, Any]) -> Any:
        if asked["do"] == "release":
            self._boundaries.released.set()
            return None
        if asked["do"] == "shift":
            self._clock.shift = timedelta(seconds=asked["seconds"])
            return None
        with self._boundaries.within(asked["do"], asked["case"]):
            return getattr(self, f"_{asked['do']}")(asked)

    def _alert(self, asked: dict[str, Any]) -> str | None:
        from models.domain.base import Severity
        from models.domain.signal import Signal, SignalKind

        # An environment of its own: what one case taught of its action must not change what the next one may do.
        labels = {"service": asked["case"], "environment": asked["case"], "on": asked["on"]}
        signal_ = Signal(
            kind=SignalKind.ALERT, name=asked["alert"], at=datetime.fromisoformat(asked["at"]) + self._clock.shift,
            labels=labels,
            severity=Severity.CRITICAL, text="requests fail",
        )  # fmt: skip
        return self._parts.intake.signals([signal_])[0].incident

    def _word(self, asked: dict[str, Any]) -> str:
        from service.security.roles import Role

        approved, by = asked["approved"], asked["by"]
        return self._parts.approvals.give(asked["execution"], approved=approved, by=by, role=Role.ADMIN).id

    def _cancel(self, asked: dict[str, Any]) -> None:
        from models.domain.execution import CancelRequest

        wish = CancelRequest(by=asked["by"], at=self._parts.clock())
        self._parts.executions.request_cancel(asked["execution"], wish)

    def _case_of(self, number: int) -> str | None:
        if number not in self._cases:
            services = self._parts.incidents.get(f"INC-{number}").services
            self._cases[number] = services[0]
        return self._cases[number]


if __name__ == "__main__":
    main()
