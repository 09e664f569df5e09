"""What each action has earned in each environment, and the evidence for it: outcomes and shadows since the last change.

Every change is made under one lock over all replicas, in the transaction of what caused it, with its audit entry.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Select, bindparam, func, insert, select, union, update
from sqlalchemy.sql import ColumnElement

from models.domain.base import Time
from models.domain.errors import Conflict
from models.domain.execution import Autonomy, Shadow
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.incidents import incident_number
from service.store.tables import autonomy, outcomes, shadows

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Place:
    """An action in an environment: what has a level."""

    runbook: str
    action: str
    environment: str

    def __str__(self) -> str:
        return f"{self.runbook}/{self.action} in {self.environment}"


@dataclass(frozen=True)
class Evidence:
    """What happened, counted."""

    verified: int
    """Executions after which verification measured health."""
    failed: int
    """Executions that were begun and ended otherwise."""
    agreed: int
    """Incidents where a person did, or approved, what Suture would have done first."""
    disagreed: int
    """Incidents where a person rejected that, or did something else."""


class Standing(Autonomy):
    """A level, and from when on the record of verified success counts that policies ask for."""

    counted_from: Time
    """The last time that trust was taken back, else the beginning."""

    @property
    def place(self) -> Place:
        """Which action where."""
        return Place(self.runbook, self.action, self.environment)


class Autonomies:
    """The repository of levels and shadows. Methods that take a connection take part in the caller's transaction."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    @property
    def database(self) -> Database:
        """Where the transactions are made that these methods take part in."""
        return self._database

    def lock(self, connection: Connection) -> None:
        """Nobody else learns or sets a level until the transaction ends."""
        # The audit log's own lock: what changes a level needs that one anyway, often before it comes here, and with a
        # second lock two transactions could each wait for the other.
        self._database.lock(connection, "audit")

    def standing(self, connection: Connection, place: Place) -> Standing | None:
        """The level, where it was ever changed."""
        document = connection.execute(_STANDING, asdict(place)).scalar()
        return Standing.model_validate(document) if document else None

    def evidence(self, connection: Connection, place: Place, after: datetime) -> Evidence:
        """What happened after `after`."""
        ended = self.ended(connection, place, after)
        people = _counts(connection, _PEOPLE, place, after)
        return Evidence(*ended, agreed=people.get(True, 0), disagreed=people.get(False, 0))

    def ended(self, connection: Connection, place: Place, after: datetime) -> tuple[int, int]:
        """Of that only the executions: how many were verified, and how many not."""
        found = _counts(connection, _ENDED, place, after)
        return found.get(True, 0), found.get(False, 0)

    def moment(self, connection: Connection, place: Place, now: datetime) -> datetime:
        """`now`, or as little later as makes it later than everything that is known of the action there.

        Clocks of replicas differ and may be set back: what is learned after a change must not count as before it.
        """
        standing = self.standing(connection, place)
        known = [standing.since] if standing else []
        for table in (outcomes, shadows):
            last = connection.execute(select(func.max(table.c.at)).where(*_at(table, place))).scalar()
            known += [datetime.fromisoformat(last)] if last else []
        return max([now, *(each + _INSTANT for each in known)])

    def put(
        self,
        connection: Connection,
        standing: Standing,
        was: Standing,
        event: str,
        evidence: Evidence,
        cause: dict[str, Any],
    ) -> None:
        """Store a changed level with its audit entry. The caller holds `lock`. Raises Conflict where it is none."""
        if standing.level is was.level:
            raise Conflict(f"{standing.place} is at {was.level} already")
        document = standing.model_dump(mode="json")
        changed = connection.execute(update(autonomy).where(*_at(autonomy, standing.place)).values(document=document))
        if changed.rowcount == 0:
            connection.execute(insert(autonomy).values(**asdict(standing.place), document=document))
        details = {
            "from": was.level,
            "to": standing.level,
            "reason": standing.reason,
            "evidence": asdict(evidence),
        } | cause
        self._audit.append(connection, f"autonomy.{event}", str(standing.place), details, standing.by)

    def add_shadow(self, connection: Connection, shadow: Shadow) -> bool:
        """Store what a person did, with its audit entry; False, and no change, where one of the episode is stored.

        The caller holds `lock`.
        """
        number = incident_number(shadow.incident)
        known = select(shadows.c.number).where(shadows.c.incident == number, shadows.c.episode == shadow.episode)
        if connection.execute(known).first():
            return False
        document = shadow.model_dump(mode="json")
        connection.execute(
            insert(shadows).values(
                incident=number, episode=shadow.episode, runbook=shadow.runbook, action=shadow.action,
                environment=shadow.environment, at=shadow.at.isoformat(), document=document,
            )
        )  # fmt: skip
        self._audit.append(connection, "shadow.recorded", shadow.incident, document, shadow.by)
        return True

    def known(self, environment: str | None = None) -> list[Place]:
        """Every action in every environment that has a changed level, an outcome or a shadow, in order."""
        tables = (autonomy, outcomes, shadows)
        query = union(*(select(*_columns(each)) for each in tables))
        with self._database.read() as connection:
            found = [Place(row.runbook, row.action, row.environment) for row in connection.execute(query)]
        wanted = [place for place in found if environment is None or place.environment == environment]
        return sorted(wanted, key=lambda place: (place.environment, place.runbook, place.action))


def _counts(connection: Connection, query: Select[bool, int], place: Place, after: datetime) -> dict[bool, int]:
    rows = connection.execute(query, {**asdict(place), "after": after.isoformat()})
    return {bool(answer): int(number) for answer, number in rows}


def _at(table: Any, place: Place) -> list[ColumnElement[bool]]:
    return [column == value for column, value in zip(_columns(table), asdict(place).values(), strict=True)]


def _columns(table: Any) -> list[Column[str]]:
    return [table.c.runbook, table.c.action, table.c.environment]


def _here(table: Any) -> list[ColumnElement[bool]]:
    return [column == bindparam(column.name) for column in _columns(table)]


def _counting(table: Any, answer: ColumnElement[bool]) -> Select[bool, int]:
    after = table.c.at > bindparam("after")
    return select(answer, func.count()).where(*_here(table), after).group_by(answer)


# Made once: they are asked for every decision, and their making takes as long as their answer.
_STANDING = select(autonomy.c.document).where(*_here(autonomy))
_ENDED = _counting(outcomes, outcomes.c.verified)
_PEOPLE = _counting(shadows, shadows.c.document["agreed"].as_boolean())
