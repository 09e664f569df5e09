"""The audit log: append-only, each entry's hash covers the one before, so an edit, a removal or a swap is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from models.domain.base import Clock, Frozen, Time, canonical_json, sha256_hex
from service.store.database import Database
from service.store.tables import as_column, audit, switches

_GENESIS = "0" * 64
_HEAD = "audit-head"


class AuditEntry(Frozen):
    """One thing that was done, by whom, to what."""

    number: int
    at: Time
    actor: str
    """`suture`, or the name of the key or the local user who asked."""
    event: str
    subject: str
    data: dict[str, Any]
    hash: str


@dataclass(frozen=True)
class AuditReport:
    """What a verification found: how many entries, and each break in words."""

    entries: int
    breaks: tuple[str, ...]


class AuditLog:
    """Appends inside the transaction of the change itself: no change without its entry, no entry without its change."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def append(
        self, connection: Connection, event: str, subject: str, data: dict[str, Any], actor: str = "suture"
    ) -> None:
        """Add one entry. `data` must be JSON; it holds no secrets."""
        self._database.lock(connection, "audit")
        head = connection.execute(select(switches.c.value).where(switches.c.name == _HEAD)).scalar()
        number, previous = (head["number"] + 1, head["hash"]) if head else (1, _GENESIS)
        fields = {
            "number": number,
            "at": self._clock().isoformat(),
            "actor": as_column(actor, 200),
            "event": event,
            "subject": as_column(subject, 300),
            "data": canonical_json(data),
            "previous": previous,
        }
        fields["hash"] = _digest(fields)
        connection.execute(insert(audit).values(**fields))
        # The head is kept apart: without it, entries cut off at the end would leave a chain that still holds.
        value = {"number": number, "hash": fields["hash"]}
        if head:
            connection.execute(switches.update().where(switches.c.name == _HEAD).values(value=value))
        else:
            connection.execute(insert(switches).values(name=_HEAD, value=value))

    def entries(self, *, after: int = 0, limit: int = 100, subject: str | None = None) -> list[AuditEntry]:
        """Entries in order, from the one that follows number `after`."""
        query = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            AuditEntry(
                number=row.number, at=row.at, actor=row.actor, event=row.event, subject=row.subject,
                data=json.loads(row.data), hash=row.hash,
            )
            for row in rows
        ]  # fmt: skip

    def verify(self) -> AuditReport:
        """Recompute the whole chain; memory stays bounded however long it is."""
        breaks: list[str] = []
        expected, previous, count = 1, _GENESIS, 0
        with self._database.read() as connection:
            for row in _stream(connection):
                count += 1
                breaks.extend(_compare(row, expected, previous))
                expected, previous = row.number + 1, row.hash
            head = connection.execute(select(switches.c.value).where(switches.c.name == _HEAD)).scalar()
        if (head or {"number": 0, "hash": _GENESIS}) != {"number": expected - 1, "hash": previous}:
            breaks.append(
                f"the log ends at entry {expected - 1}, but its recorded head is another: its end was cut off"
            )
        return AuditReport(entries=count, breaks=tuple(breaks))


def _stream(connection: Connection) -> Iterator[Row[Any]]:
    yield from connection.execution_options(yield_per=1000).execute(select(audit).order_by(audit.c.number))


def _compare(row: Row[Any], expected: int, previous: str) -> Iterator[str]:
    if row.number != expected:
        yield f"entry {expected} is missing: entry {row.number} follows entry {expected - 1}"
    elif row.previous != previous:
        yield f"entry {row.number} does not continue entry {row.number - 1}: an entry was removed, swapped or rewritten"
    if row.hash != _digest(row._asdict()):
        yield f"entry {row.number} was edited: its hash does not fit its content"


def _digest(fields: dict[str, Any]) -> str:
    return sha256_hex(canonical_json({name: value for name, value in fields.items() if name != "hash"}))
