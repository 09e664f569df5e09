"""Dependencies that were seen: who called whom, from which kind of telemetry, how often and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, delete, func, insert, select, update

from models.domain.base import Frozen, Time
from service.store.database import Database
from service.store.tables import topology_edges

Seen = Literal["traces", "metrics"]
"""What showed a call."""
Ends = tuple[str, str]
"""Caller and callee."""

LOCK = "topology"


class Edge(Frozen):
    """One service calls another."""

    caller: str
    callee: str
    source: Seen
    first_at: Time
    last_at: Time
    calls: float
    """That were seen, in all."""


class Edges:
    """The repository of edges."""

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most

    def add(self, counts: Mapping[Ends, float], source: Seen, at: datetime, kept: timedelta) -> int:
        """Count calls; forgets those not seen for `kept`. Returns how many new edges had no room."""
        refused = 0
        now = at.timestamp()
        with self._database.write() as connection:
            self._database.lock(connection, LOCK)
            connection.execute(delete(topology_edges).where(topology_edges.c.last_at < now - kept.total_seconds()))
            held = connection.execute(select(func.count()).select_from(topology_edges)).scalar_one()
            for (caller, callee), calls in counts.items():
                key = {"caller": caller, "callee": callee, "source": source}
                same = (topology_edges.c[name] == value for name, value in key.items())
                found = connection.execute(
                    update(topology_edges).where(*same).values(last_at=now, calls=topology_edges.c.calls + calls)
                )
                if found.rowcount:
                    continue
                if held >= self._most:
                    refused += 1
                    continue
                connection.execute(insert(topology_edges).values(**key, first_at=now, last_at=now, calls=calls))
                held += 1
        return refused

    def all(self) -> list[Edge]:
        """Every edge, by caller and callee."""
        query = select(topology_edges).order_by(
            topology_edges.c.caller, topology_edges.c.callee, topology_edges.c.source
        )
        with self._database.read() as connection:
            return [_edge(row) for row in connection.execute(query)]


def _edge(row: Row[Any]) -> Edge:
    return Edge(
        caller=row.caller,
        callee=row.callee,
        source=row.source,
        first_at=datetime.fromtimestamp(row.first_at, UTC),
        last_at=datetime.fromtimestamp(row.last_at, UTC),
        calls=row.calls,
    )
