"""Faults of the database: its processes, its connections, the rights in it."""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random
from typing import Any

import psutil
import psycopg

from evals.sandbox.batch_job import CLIENTS, BatchJob
from evals.sandbox.fault import Fault, Remedy, RestartFault, front_door_serves
from evals.sandbox.postgres import ORDINARY_CONNECTIONS
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import Unavailable

CUT_SECONDS = 10.0


class _DatabaseFault(RestartFault):
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
    remedy = Remedy("postgres-down", "restart-database", "PostgreSQL was restarted.")

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
    remedy = Remedy(
        "postgres-connections-exhausted",
        "restart-exhausted-database",
        "PostgreSQL was restarted, which ended every connection.",
    )

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._job = BatchJob(sandbox)

    def heal(self) -> None:
        """End the batch job, where the server's restart has not done so."""
        self._job.end()
        super().heal()

    def _break(self, pid: int) -> None:  # noqa: ARG002
        self._job.start()
        try:
            self._cut_shop_connections()
        except BaseException:
            self._job.end()
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
            batch, shop = superuser.execute(CLIENTS).fetchone() or (0, 0)
            if batch < ORDINARY_CONNECTIONS <= batch + shop:
                superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'")
            return bool(batch >= ORDINARY_CONNECTIONS)


class CrowdConnections(Fault):
    """The batch job takes half of the connections and stays there: much more than usual, and room for everybody.

    No client suffers. To restart the database for it would be worse than the batch job.
    """

    name = "crowd_connections"
    title = "A batch job takes half of the database's connections"
    how = f"{ORDINARY_CONNECTIONS // 2} of {ORDINARY_CONNECTIONS} connections taken and held; the others are free"
    service = "orders-db"
    process = "postgres"
    cures = ()

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._job = BatchJob(sandbox)
        self._most = ORDINARY_CONNECTIONS // 2

    def vary(self, random: Random) -> dict[str, Any]:
        """How many connections are taken: always with room for everybody."""
        self._most = round(random.uniform(0.4, 0.65) * ORDINARY_CONNECTIONS)
        return {"connections": self._most}

    def repaired(self) -> bool:
        """Whether the batch job holds nothing, and customers are served."""
        with suppress(psycopg.Error):
            return self._job.holds() == 0 and front_door_serves(self.sandbox)
        return False

    def heal(self) -> None:
        """End the batch job."""
        self._job.end()

    def _break(self, pid: int) -> None:  # noqa: ARG002
        self._job.start(self._most)


class WrongRemedy(Fault):
    """A migration that went wrong takes away the right to read the products.

    It looks like a database that is down: no client gets an answer. No restart and no cut connection cures it, since
    the database keeps its rights on disk. A person must see what was done.
    """

    name = "wrong_remedy"
    title = "A migration takes away the right to read the products"
    how = "REVOKE on the table of products: it outlasts every restart"
    service = "orders-db"
    process = "postgres"
    cures = ()

    def repaired(self) -> bool:
        """Whether an ordinary client can read the products, and customers are served."""
        with suppress(psycopg.Error), psycopg.connect(self.sandbox.layout.dsn("monitor")) as connection:
            connection.execute("SELECT count(*) FROM store.products")
            return front_door_serves(self.sandbox)
        return False

    def heal(self) -> None:
        """Give the rights back; start the server first where an action stopped it."""
        if self.sandbox.supervisor.process(self.process).pid == 0:
            self.sandbox.supervisor.restart(self.process)
        self._run("GRANT ALL ON store.products TO shop", "GRANT SELECT ON store.products TO monitor")

    def _break(self, pid: int) -> None:  # noqa: ARG002
        self._run("REVOKE ALL ON store.products FROM shop, monitor")

    def _run(self, *statements: str) -> None:
        with psycopg.connect(self.sandbox.layout.dsn("postgres"), autocommit=True) as superuser:
            for statement in statements:
                superuser.execute(statement)
