"""Checkouts fail: one symptom, of which the monitoring sends one alert, and three causes that it does not tell."""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random
from typing import Any

import httpx
import psycopg

from evals.sandbox import volumes
from evals.sandbox.fault import Fault, Remedy, front_door_serves
from evals.sandbox.faults_database import ExhaustConnections, KillDatabase
from evals.sandbox.layout import VOLUMES
from evals.sandbox.postgres import ORDINARY_CONNECTIONS
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import Unavailable

FAILING = 0.3
"""The rule: of the checkouts that were answered lately, more than this share failed."""
ENOUGH = 10
"""Checkouts that the rule needs to speak: a second or so of customers."""
EASE_SECONDS = 5.0
"""For connections whose client ended to be free."""
_VOLUME, _SPARE = VOLUMES


class _CheckoutsFail(Fault):
    """What the three have in common: the rule of the monitoring, and that the database's disk is watched."""

    service = "orders-db"
    process = "postgres"
    alert = "CheckoutsFailing"
    alert_from = "shop"

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._before = (0.0, 0.0)

    def prepare(self) -> None:
        """Have the exporter measure the database's disk."""
        volumes.watch(self.sandbox)

    def inject(self) -> None:
        """Break it, whether or not it was prepared. Raises BadInput where it is broken already."""
        self.prepare()
        self._before = self._answered()
        super().inject()

    def alerting(self) -> bool:
        """Whether the rule holds, over what was answered since it was looked at last and there was enough."""
        try:
            answered, failed = self._answered()
        except Unavailable:
            return False
        since = answered - self._before[0]
        if since < ENOUGH:
            return False
        share = (failed - self._before[1]) / since
        self._before = answered, failed
        return share > FAILING

    def _answered(self) -> tuple[float, float]:
        """Checkouts that the shop has answered, and those of them that failed."""
        codes: dict[str, float] = {}
        for name, value in self.sandbox.metrics("shop").items():
            if name.startswith("http_requests_total{") and 'path="/checkout"' in name:
                code = name.split('code="', 1)[1][0]
                codes[code] = codes.get(code, 0.0) + value
        return sum(codes.values()), codes.get("5", 0.0)


class CheckoutsNoDatabase(_CheckoutsFail, KillDatabase):
    """As KillDatabase: there is no database."""

    name = "checkouts_no_database"
    title = "Checkouts fail: the database is dead"
    remedy = Remedy("checkouts-no-database", "restart-dead-database", "PostgreSQL, which was dead, was restarted.")

    def heal(self) -> None:
        """Restart it where nobody did."""
        super().heal()
        volumes.detach(self.sandbox)


class CheckoutsNoConnections(_CheckoutsFail, ExhaustConnections):
    """As ExhaustConnections: there is a database, and no connection to be had.

    A restart ends every connection; to end those that do nothing is enough, and cuts nobody who is at work.
    """

    name = "checkouts_no_connections"
    title = "Checkouts fail: the pool of the database's connections is exhausted"
    cures = ("script/run", "process/restart")
    remedy = Remedy("checkouts-no-connections", "end-idle-sessions", "The idle sessions that held all were ended.")

    def repaired(self) -> bool:
        """Whether most connections are free again, and customers are served."""
        with suppress(psycopg.Error):
            return self._job.holds() < ORDINARY_CONNECTIONS / 2 and self._serves() and front_door_serves(self.sandbox)
        return False

    def heal(self) -> None:
        """End the batch job; restart the server where that does not help."""
        self._job.end()
        deadline = time.monotonic() + EASE_SECONDS
        while not self.repaired() and time.monotonic() < deadline:
            time.sleep(0.1)
        super().heal()
        volumes.detach(self.sandbox)


class CheckoutsSlowDisk(_CheckoutsFail):
    """The disk of the database's write-ahead log is slow: each order waits for it, and holds its connection meanwhile.

    It stands for a disk that degrades: see `volume` for what is slow, and how. The log is on that volume from the
    injection on. Reads are as quick as ever, where they get one of the connections that wait with the orders.
    """

    name = "checkouts_slow_disk"
    title = "Checkouts fail: the disk of the database's log is slow"
    how = "the volume of the write-ahead log keeps each write waiting for up to two and a half seconds"
    cures = ("script/run",)
    remedy = Remedy("checkouts-slow-disk", "move-log", "The database's log was moved to its spare volume.")

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._seconds = 2.5

    def vary(self, random: Random) -> dict[str, Any]:
        """How slow the disk is."""
        self._seconds = round(random.uniform(2.2, 3.2), 2)
        return {"write_seconds_at_most": self._seconds}

    def prepare(self) -> None:
        """Attach both volumes; nothing waits for them yet."""
        super().prepare()
        volumes.attach(self.sandbox)

    def repaired(self) -> bool:
        """Whether no commit waits for the slow volume, and a customer can buy."""
        return volumes.in_use(self.sandbox) != _VOLUME and _sells(self.sandbox)

    def heal(self) -> None:
        """Let no commit wait; start the server first where an action stopped it."""
        if self.sandbox.supervisor.process(self.process).pid == 0:
            self.sandbox.supervisor.restart(self.process)
        volumes.slow(self.sandbox, _VOLUME, 0.0)
        volumes.detach(self.sandbox)

    def _break(self, pid: int) -> None:  # noqa: ARG002
        volumes.use(self.sandbox, _VOLUME)
        volumes.slow(self.sandbox, _VOLUME, self._seconds)


def _sells(sandbox: Sandbox) -> bool:
    """Whether the shop takes an order now."""
    with suppress(httpx.HTTPError):
        return httpx.post(sandbox.layout.url("shop", "/checkout"), timeout=2.0, trust_env=False).is_success
    return False
