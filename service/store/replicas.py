"""Replicas: each worker's sign of life, and who continues what a silent one left.

All times are by the database's own clock: replicas' clocks may differ, and only one clock may judge them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Float, Row, and_, cast, delete, extract, func, insert, literal_column, or_, select
from sqlalchemy import update as change

from models.domain.base import Frozen
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.tables import replicas

_KEPT = timedelta(days=1)
"""How long those that ended are shown."""

State = Literal["alive", "silent", "left", "taken over"]


class ReplicaState(Frozen):
    """One worker, as the database knows it now."""

    id: str
    """A new one at each start of the process."""
    host: str
    version: str
    """Of the workflow's code: only a replica of the same version can continue what another one began."""
    state: State
    """`silent`: gave no sign for longer than its lease and will be taken over. `left`: ended in order."""
    beat_seconds_ago: float
    taken_by: str | None
    """Who continues what it was doing."""


class Replicas:
    """The repository of replicas. A lease is kept by `beat`, and ends for good when another replica takes over."""

    def __init__(self, database: Database, audit: AuditLog, lease: timedelta) -> None:
        self._database = database
        self._audit = audit
        self._lease = lease.total_seconds()

    def add(self, identity: str, *, home: str, host: str, version: str) -> None:
        """A new replica, from now on alive. What ran before on the same folder of the same host is over: taken over."""
        values = {"identity": identity, "home": home, "host": host, "version": version, "beat_at": self._now}
        before = and_(replicas.c.home == home, replicas.c.host == host)
        with self._database.write() as connection:
            connection.execute(delete(replicas).where(replicas.c.taken_by.is_not(None), self._silent_for(_KEPT)))
            connection.execute(change(replicas).where(before, replicas.c.taken_by.is_(None)).values(taken_by=identity))
            connection.execute(insert(replicas).values(**values))

    def beat(self, identity: str) -> bool:
        """A sign of life, now; False where the lease is lost: another replica has taken over."""
        mine = and_(replicas.c.identity == identity, replicas.c.taken_by.is_(None))
        with self._database.write() as connection:
            return connection.execute(change(replicas).where(mine).values(beat_at=self._now)).rowcount == 1

    def leave(self, identity: str) -> None:
        """It ended in order, and does nothing any more: others need not wait for the end of its lease."""
        mine = and_(replicas.c.identity == identity, replicas.c.taken_by.is_(None))
        with self._database.write() as connection:
            connection.execute(change(replicas).where(mine).values(taken_by=identity))

    def take_over(self, identity: str) -> list[str]:
        """Take over all that are silent or have left; each has one taker. Returns their hosts."""
        silent = and_(replicas.c.taken_by.is_(None), self._silent_for(timedelta(seconds=self._lease)))
        free = and_(replicas.c.identity != identity, or_(silent, replicas.c.taken_by == replicas.c.identity))
        with self._database.read() as connection:
            if connection.execute(select(replicas.c.identity).where(free)).first() is None:
                return []
        with self._database.write() as connection:
            # One statement that asks again: who was quicker has it, and one that gave a sign meanwhile keeps its lease.
            taken = (
                change(replicas).where(free).values(taken_by=identity).returning(replicas.c.identity, replicas.c.host)
            )
            rows = connection.execute(taken).all()
            for row in rows:
                self._audit.append(connection, "replica.taken-over", row.identity, {"by": identity, "host": row.host})
        return [row.host for row in rows]

    def working(self) -> set[str]:
        """Those that nobody has taken over: they are alive, or may be."""
        with self._database.read() as connection:
            return set(connection.execute(select(replicas.c.identity).where(replicas.c.taken_by.is_(None))).scalars())

    def versions(self, identity: str, home: str) -> set[str]:
        """Versions of the workflow that some replica still runs, or ran a lease ago and is being started again.

        What ran before on the folder `home` of the replica `identity` does not count: that is over for certain.
        """
        recent = and_(
            ~self._silent_for(timedelta(seconds=self._lease)),
            or_(replicas.c.identity == identity, replicas.c.home != home),
        )
        with self._database.read() as connection:
            return set(connection.execute(select(replicas.c.version).where(recent)).scalars())

    def states(self) -> list[ReplicaState]:
        """All that are known, those with the newest sign of life first."""
        ago = (self._now - replicas.c.beat_at).label("ago")
        with self._database.read() as connection:
            rows = connection.execute(select(replicas, ago).order_by(replicas.c.beat_at.desc())).all()
        return [
            ReplicaState(
                id=row.identity, host=row.host, version=row.version, state=self._state(row),
                beat_seconds_ago=round(max(0.0, row.ago), 3), taken_by=row.taken_by,
            )
            for row in rows
        ]  # fmt: skip

    def counts(self) -> dict[str, int]:
        """How many replicas are in each state."""
        found = [one.state for one in self.states()]
        return {state: found.count(state) for state in ("alive", "silent", "left", "taken over")}

    def _state(self, row: Row[Any]) -> State:
        if row.taken_by is None:
            return "silent" if row.ago > self._lease else "alive"
        return "left" if row.taken_by == row.identity else "taken over"

    def _silent_for(self, span: timedelta) -> ColumnElement[bool]:
        return replicas.c.beat_at < self._now - span.total_seconds()

    @property
    def _now(self) -> ColumnElement[float]:
        if self._database.is_sqlite:
            # Days since noon in Greenwich on November 24, 4714 B.C.; 2440587.5 is the start of 1970.
            return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
        return cast(extract("epoch", func.clock_timestamp()), Float)
