"""Supervisor's program `db-exporter`: what clients of the database see, in Prometheus exposition format.

Each probe opens new connections, because the question is whether a client can connect now. An ordinary role answers
`pg_up` and `pg_query_seconds`. The superuser, who has slots of its own, counts connections even when no ordinary
client gets in any more. A metric that cannot be known now is left out, never repeated from earlier.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

INTERVAL = 0.5
"""Seconds between probes: half of the scrape interval, so that no scrape sees a value older than that."""
TIMEOUT = 0.9
"""Seconds that one probe may take. A server that accepts and never answers is down for its clients."""
WRITE_TIMEOUT = 5.0
"""The same of a durable write: the slowest disk that is played answers within it."""
_CONNECTIONS = """
SELECT count(*), (
  SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings
  WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections'))
FROM pg_stat_activity JOIN pg_roles ON usesysid = pg_roles.oid
WHERE backend_type = 'client backend' AND NOT rolsuper
"""


@dataclass(frozen=True)
class Observation:
    """One probe. Connections are those of ordinary roles, and the slots that those roles may take."""

    query_seconds: float | None = None
    connections: int | None = None
    max_connections: int | None = None


class Writes:
    """What a durable write takes: a probe that commits a message of nothing into the write-ahead log."""

    def __init__(self) -> None:
        self._took: float | None = None
        self._began: float | None = None

    @property
    def seconds(self) -> float | None:
        """The last one, or the one that is under way where that has already lasted longer. None: it is not known."""
        # Read once: scrapes are answered by threads of their own.
        began, took = self._began, self._took
        return took if began is None else max(took or 0.0, time.perf_counter() - began)

    async def watch(self, dsn: str, in_use: Path) -> None:
        """Probe forever while the file is there, which says that the database's disk is watched."""
        while True:
            self._took = await self._probe(dsn) if in_use.exists() else None
            await asyncio.sleep(INTERVAL)

    async def _probe(self, dsn: str) -> float | None:
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                    await connection.execute("SET synchronous_commit TO on")
                    self._began = time.perf_counter()
                    await connection.execute("SELECT pg_logical_emit_message(true, 'probe', '')")
                    return time.perf_counter() - self._began
        except (psycopg.Error, TimeoutError, OSError):
            return None
        finally:
            self._began = None


class DatabaseCollector(Collector):
    """Exposes the latest observation."""

    def __init__(self) -> None:
        self.latest = Observation()
        self.writes = Writes()

    def collect(self) -> Iterator[Metric]:
        """The families of one scrape."""
        seen = self.latest
        values = {
            ("pg_up", "1 when an ordinary client can connect and run a query"): int(seen.query_seconds is not None),
            ("pg_query_seconds", "Time to connect and to run a query, in seconds"): seen.query_seconds,
            ("pg_connections", "Open connections of ordinary clients"): seen.connections,
            ("pg_max_connections", "Connections that ordinary clients may open"): seen.max_connections,
            ("pg_wal_write_seconds", "Time until a write is on the log's disk, in seconds"): self.writes.seconds,
        }
        for (name, help_text), value in values.items():
            if value is not None:
                yield GaugeMetricFamily(name, help_text, value=value)


async def probe(client_dsn: str, superuser_dsn: str) -> Observation:
    """Look once, with both roles one after the other, so that the count never holds this probe's own connection."""
    seconds = None
    started = time.perf_counter()
    if await _ask(client_dsn, "SELECT count(*) FROM store.products") is not None:
        seconds = time.perf_counter() - started
    counts = await _ask(superuser_dsn, _CONNECTIONS)
    return Observation(seconds, *(counts if counts is not None else (None, None)))


async def _ask(dsn: str, query: str) -> tuple[int, ...] | None:
    """The first row, or None when there was no answer in time."""

    async def ask() -> tuple[int, ...] | None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            return await (await connection.execute(query)).fetchone()

    try:
        return await asyncio.wait_for(ask(), TIMEOUT)
    except (psycopg.Error, TimeoutError, OSError):
        return None


async def main() -> None:
    """Probe forever, and serve the latest observation."""
    collector = DatabaseCollector()
    registry = CollectorRegistry()
    registry.register(collector)
    start_http_server(int(os.environ["EXPORTER_PORT"]), addr="127.0.0.1", registry=registry)
    in_use = Path(os.environ["EXPORTER_VOLUME"])
    client, superuser = os.environ["CLIENT_DSN"], os.environ["SUPERUSER_DSN"]
    async with asyncio.TaskGroup() as group:
        group.create_task(collector.writes.watch(superuser, in_use))
        while True:
            collector.latest = await probe(client, superuser)
            await asyncio.sleep(INTERVAL)


if __name__ == "__main__":
    asyncio.run(main())
