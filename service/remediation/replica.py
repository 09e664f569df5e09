"""Who a worker is, and whether it still is: it works only while its lease holds, and another one goes on after that.

A replica gives a sign of life every sixth of its lease, by the database's clock. One that gave none for a whole lease
is taken over. It may be alive all the same: paused, or cut off from the database. So it asks before each step whether
its lease holds, before each act it has it renewed, and right before the effect it looks at its clock once more.
"""

from __future__ import annotations

import fcntl
import logging
import socket
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.domain.errors import Conflict
from service.files import write_once
from service.remediation.interruption import Interruption, Stopped
from service.remediation.uptime import seconds_up
from service.store.replicas import Replicas

_log = logging.getLogger(__name__)

_HOME = "replica-id"
_LOCK = "worker.lock"
_AWAY = (OperationalError, InterfaceError, PoolTimeout)
_AGAIN_SECONDS = 0.5
"""Between two tries while the database is away."""

BEATS = 6
"""Signs of life in a lease: a few may be lost. It holds for one of them less than others wait, by its own clock."""


class Replica:
    """One worker, from the start of its process to its end."""

    def __init__(
        self,
        state_dir: Path,
        replicas: Replicas,
        lease: timedelta,
        interruption: Interruption,
        seconds: Callable[[], float] = seconds_up,
    ) -> None:
        """`seconds` is a clock that nobody sets."""
        self._folder = state_dir
        self._replicas = replicas
        self._lease = lease.total_seconds()
        self._interruption = interruption
        self._seconds = seconds
        self._lock: IO[str] | None = None
        self._beat_at = self._seconds()
        self._patient_until = self._beat_at
        self._losing = threading.Lock()
        self._ended = threading.Event()
        self._beating: threading.Thread | None = None
        self._when_lost: Callable[[], None] = lambda: None
        self.home = write_once(state_dir / _HOME, uuid.uuid4().hex)
        self.identity = uuid.uuid4().hex
        self.lost = False
        self._begun = False

    def claim(self) -> None:
        """Hold the folder until this process ends, however it ends. Raises Conflict where another worker holds it."""
        if self._lock is not None:
            return
        file = (self._folder / _LOCK).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise Conflict(
                f"another worker runs on {self._folder}; give each replica a state folder of its own (--data DIR)"
            ) from error
        self._lock = file

    def begin(self, version: str) -> None:
        """Be alive from now on, with code of that version of the workflow. What ran on the folder before is over."""
        began = self._seconds()
        self._replicas.add(self.identity, home=self.home, host=socket.gethostname(), version=version)
        self._beat_at = self._patient_until = began
        self._begun = True
        self._interruption.ask_first(self.hold)
        self._beating = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)
        self._beating.start()

    def when_lost(self, call: Callable[[], None]) -> None:
        """Call this once, when the lease is lost."""
        self._when_lost = call

    def beat(self) -> None:
        """A sign of life. Raises Stopped where the lease is lost, SQLAlchemy's errors where the database is away."""
        began = self._seconds()
        if not self._replicas.beat(self.identity):
            self._lose()
            raise Stopped
        if began - self._beat_at > self._lease:
            # The database was away for the others, too: they are silent, not dead.
            self._patient_until = began + self._lease / 2
        self._beat_at = began

    def hold(self) -> None:
        """Return where the lease holds; where it may have ended, wait for the database's word. Raises Stopped."""
        while self._may_be_over():
            self.renew()

    def confirm(self) -> None:
        """As `hold`, without waiting: raises Stopped where the lease is lost, SQLAlchemy's errors without an answer."""
        if self._begun and self._may_be_over():
            self.beat()

    def _may_be_over(self) -> bool:
        return self._seconds() - self._beat_at >= self._lease * (1 - 1 / BEATS)

    def renew(self) -> None:
        """Return with a whole lease ahead, however long the database is away. Raises Stopped."""
        while self._begun:
            if self.lost:
                raise Stopped
            try:
                self.beat()
                return
            except _AWAY as error:
                _log.warning("nothing is begun until the database confirms the lease: %s", error)
                self._interruption.rest(_AGAIN_SECONDS)

    def take_over(self) -> bool:
        """Take over the replicas that are dead; whether there were any."""
        if self._seconds() < self._patient_until:
            return False
        hosts = self._replicas.take_over(self.identity)
        if hosts:
            _log.warning("replicas that ended are taken over: %d, on %s", len(hosts), ", ".join(sorted(set(hosts))))
        return bool(hosts)

    def end(self, *, finished: bool) -> None:
        """Work no more. `finished`: nothing of it goes on, so that others may continue at once. Frees the folder."""
        if self._beating is not None:
            self._ended.set()
            self._beating.join()
        if self._lock is None:
            return
        try:
            if self._begun and finished and not self.lost:
                self._replicas.leave(self.identity)
        except _AWAY as error:
            _log.warning("the database does not hear that this replica ends; its lease will: %s", error)
        self._lock.close()
        self._lock = None

    def _keep_beating(self) -> None:
        while not self._ended.wait(self._lease / BEATS):
            try:
                self.beat()
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001  (silence would be taken for death)
                _log.warning("the database does not hear that this replica is alive: %s", error)

    def _lose(self) -> None:
        with self._losing:
            first, self.lost = not self.lost, True
        if first:
            _log.error("the lease is lost: another replica continues what this one was doing; it ends")
            self._interruption.begin_to_stop()
            self._when_lost()
