"""Lives of workers: started, spoken to, killed. The processes are real, and so is SIGKILL."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.crash.worker import BIGGEST

_START_SECONDS = 120.0
_SECONDS = 60.0
"""A machine with other work needs many times what an idle one does."""


class Died(Exception):
    """The worker was killed before it answered."""


class Refused(Exception):
    """The worker answered with an error."""


class Life:
    """One worker's process from its start to its death."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.killed_at: tuple[str, str] | None = None
        """The case and the boundary at which it killed itself, as it was armed."""
        self.reached: list[tuple[str, str]] = []
        """Cases and their boundaries, in order."""
        self.dead = threading.Event()
        self._was_killed = False
        self._closed = False
        self._channel = channel
        self._changed = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self._ready = False
        self._asked = 0
        self._handle = os.pidfd_open(pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ready(self) -> Life:
        """Wait until it works, or is dead."""
        self._wait(lambda: self._ready)
        self._check()
        return self

    def ask(self, do: str, case: str, **arguments: Any) -> Any:
        """Let it do something as the API would; its answer. Raises Died or Refused."""
        with self._changed:
            self._asked += 1
            number = self._asked
        message = json.dumps({"number": number, "do": do, "case": case, **arguments}).encode()
        try:
            self._channel.send(message)
        except OSError as error:
            raise Died(do) from error
        self._wait(lambda: number in self._answers)
        self._check()
        answer = self._answers.get(number)
        if answer is None:
            raise Died(do)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["answer"]

    def kill(self) -> bool:
        """SIGKILL, and wait until nothing of it is left. Whether it lived until then."""
        lived = not self.dead.is_set()
        self._was_killed = True
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        self.wait_dead(_SECONDS)
        return lived

    def wait_dead(self, seconds: float) -> bool:
        """Whether it died within so many seconds. Raises RuntimeError where it ended without being killed."""
        if not self.dead.wait(seconds):
            return False
        self._check()
        return True

    def close(self) -> None:
        """Let go of what is left of it; kills it where it lives. Once is enough."""
        if self._closed:
            return
        self._closed = True
        if not self.dead.is_set():
            self.kill()
        self._reader.join()
        self._channel.close()
        os.close(self._handle)

    def _check(self) -> None:
        if self.dead.is_set() and not self._was_killed and self.killed_at is None:
            raise RuntimeError(f"worker {self.pid} ended by itself; its log says why")

    def _wait(self, holds: Any) -> None:
        ends = time.monotonic() + _SECONDS
        with self._changed:
            while not holds() and not self.dead.is_set():
                if not self._changed.wait(max(0.0, ends - time.monotonic())):
                    raise TimeoutError(f"worker {self.pid} does not answer")

    def _read(self) -> None:
        # The socket closes with the process, however that ends.
        while message := self._message():
            with self._changed:
                if "boundary" in message:
                    self.reached.append((message["case"], message["boundary"]))
                elif "killed" in message:
                    self.killed_at = message["case"], message["killed"]
                elif "to" in message:
                    self._answers[message["to"]] = message
                else:
                    self._ready = True
                self._changed.notify_all()
        # Its other files may close a moment later: a lock that it holds, a connection.
        select.select([self._handle], [], [], _SECONDS)
        with self._changed:
            self.dead.set()
            self._changed.notify_all()

    def _message(self) -> dict[str, Any] | None:
        try:
            message = self._channel.recv(BIGGEST)
        except OSError:
            return None
        return json.loads(message) if message else None


class Workers:
    """Starts workers: one process that has everything imported, and forks."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        script = Path(__file__).with_name("worker.py")
        # One thread: those of a numerical library would not be in the forks.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=theirs, env={**environment, "OPENBLAS_NUM_THREADS": "1"}
        )
        theirs.close()
        self._requests = ours
        self._requests.settimeout(_START_SECONDS)
        self._turn = threading.Lock()
        if self._requests.recv(BIGGEST) != b"ready":
            raise RuntimeError("workers cannot be started")

    def start(self, **request: Any) -> Life:
        """A new worker; it is starting when this returns. `request`: see `worker.py`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        defaults = {"at": {}, "beyond": {}, "shift": 0.0, "mutations": [], "holds": None}
        with self._turn:
            socket.send_fds(self._requests, [json.dumps(defaults | request).encode()], [theirs.fileno()])
            theirs.close()
            pid = int(self._requests.recv(BIGGEST))
        return Life(pid, ours)

    def close(self) -> None:
        """End it."""
        self._requests.shutdown(socket.SHUT_RDWR)
        self._requests.close()
        self._process.wait(_SECONDS)
