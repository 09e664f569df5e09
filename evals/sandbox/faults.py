"""Faults, injected from outside with signals and connections. Nothing of Suture is told.

Each says what it breaks, how to undo it, and how to see from the target itself that it was repaired.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, ClassVar

import httpx
import psutil
import psycopg

from evals.sandbox.postgres import ORDINARY_CONNECTIONS
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput, Unavailable

CUT_SECONDS = 10.0
_CLIENTS = """
SELECT count(*) FILTER (WHERE usename = 'batch'), count(*) FILTER (WHERE usename = 'shop') FROM pg_stat_activity
"""


class Fault(ABC):
    """One way to break the sandbox. One object is one injection."""

    name: ClassVar[str]
    title: ClassVar[str]
    how: ClassVar[str]
    """What is done, in one line."""
    service: ClassVar[str]
    """The culprit, by its name in the topology."""
    process: ClassVar[str]
    """What supervisor must restart to cure it: the right action is `process/restart` of this name."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._broken_pid = 0

    def inject(self) -> None:
        """Break it. Raises BadInput where the target does not run, so that there is nothing to break."""
        before = self.sandbox.supervisor.process(self.process)
        if before.pid == 0:
            raise BadInput(f"{self.process} does not run: it is broken already")
        self._broken_pid = before.pid
        self._break(before.pid)

    def repaired(self) -> bool:
        """Whether another process than the broken one runs, and serves a client of its kind."""
        now = self.sandbox.supervisor.process(self.process)
        return now.pid not in (0, self._broken_pid) and self._serves()

    def heal(self) -> None:
        """Undo the fault without Suture, and whatever is left of it."""
        if not self.repaired():
            self.sandbox.supervisor.restart(self.process)

    @abstractmethod
    def _break(self, pid: int) -> None:
        """Do the harm; `pid` leads the target's process group."""

    @abstractmethod
    def _serves(self) -> bool:
        """Ask the target as its clients do."""


class _ShopFault(Fault):
    service = "shop"
    process = "shop"
    signal: ClassVar[signal.Signals]

    def _break(self, pid: int) -> None:
        os.killpg(pid, self.signal)

    def _serves(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(self.sandbox.layout.url("shop", "/healthz"), timeout=2.0, trust_env=False).is_success
        return False


class KillService(_ShopFault):
    """The shop's master and workers end at once, as by the kernel's out-of-memory killer."""

    name = "kill_service"
    title = "The shop's processes are killed"
    how = "SIGKILL to the shop's process group"
    signal = signal.SIGKILL


class HangService(_ShopFault):
    """The shop's processes stop running but keep their sockets: connections are accepted and never answered."""

    name = "hang_service"
    title = "The shop hangs"
    how = "SIGSTOP to the shop's process group: it accepts, and never answers"
    signal = signal.SIGSTOP


class _DatabaseFault(Fault):
    service = "orders-db"
    process = "postgres"

    def _serves(self) -> bool:
        with suppress(psycopg.Error), psycopg.connect(self.sandbox.layout.dsn("monitor")) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
        return False


class KillDatabase(_DatabaseFault):
    """PostgreSQL's postmaster and all of its children end at once."""

    name = "kill_database"
    title = "The database is killed"
    how = "SIGKILL to PostgreSQL's postmaster and its children"

    def _break(self, pid: int) -> None:
        postmaster = psutil.Process(pid)
        # Found before the first dies: a child leaves its parent's list when that ends.
        for process in (postmaster, *postmaster.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()


class ExhaustConnections(_DatabaseFault):
    """A batch job (`outsider`) takes every connection that the database has for ordinary clients.

    The shop's pool would live on with the connections that it holds. Those are cut, as an idle timeout on the way
    does, until the batch job has won all of them.
    """

    name = "exhaust_connections"
    title = "A batch job takes all of the database's connections"
    how = f"{ORDINARY_CONNECTIONS} connections taken and held, the shop's own cut"

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._outsider: subprocess.Popen[bytes] | None = None

    def heal(self) -> None:
        """End the batch job, where the server's restart has not done so."""
        self._end_outsider()
        super().heal()

    def _end_outsider(self) -> None:
        if self._outsider is not None:
            self._outsider.kill()
            self._outsider.wait()

    def _break(self, pid: int) -> None:  # noqa: ARG002
        environment: dict[str, Any] = {**os.environ, "OUTSIDER_DSN": self.sandbox.layout.dsn("batch")}
        with self.sandbox.layout.log("outsider").open("ab") as log:
            self._outsider = subprocess.Popen(
                [sys.executable, "-m", "evals.sandbox.outsider"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._cut_shop_connections()
        except BaseException:
            self._end_outsider()
            raise

    def _cut_shop_connections(self) -> None:
        """Return when the batch job has every slot. Raises Unavailable after CUT_SECONDS."""
        deadline = time.monotonic() + CUT_SECONDS
        while time.monotonic() < deadline:
            # A client that is being refused holds a slot for that moment, the superuser's own too: then ask again.
            with suppress(psycopg.OperationalError):
                if self._batch_has_all():
                    return
            time.sleep(0.1)
        raise Unavailable(f"the batch job did not get all connections within {CUT_SECONDS:.0f} s")

    def _batch_has_all(self) -> bool:
        """Whether no slot is left; where the shop holds the last ones they are cut, for the batch job to win."""
        # A new connection each round: the superuser, too, takes an ordinary slot while there are any.
        with psycopg.connect(self.sandbox.layout.dsn("postgres"), autocommit=True) as superuser:
            batch, shop = superuser.execute(_CLIENTS).fetchone() or (0, 0)
            if batch < ORDINARY_CONNECTIONS <= batch + shop:
                superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'")
            return bool(batch >= ORDINARY_CONNECTIONS)


FAULTS: dict[str, type[Fault]] = {
    fault.name: fault for fault in (KillService, HangService, KillDatabase, ExhaustConnections)
}
"""Every fault by its name."""


def check_name(name: str) -> None:
    """Raises BadInput that lists the names where there is no fault of this one."""
    if name not in FAULTS:
        raise BadInput(f"there is no fault {name!r}: choose one of {', '.join(FAULTS)}")


def fault_of(name: str, sandbox: Sandbox) -> Fault:
    """A fault by its name. Raises BadInput as `check_name` does."""
    check_name(name)
    return FAULTS[name](sandbox)
