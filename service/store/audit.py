"""The audit log: append-only, each entry's hash covers the one before, so an edit, a removal or a swap is found.

Who can write the database can compute hashes, too. Therefore the head of the chain is sealed with the installation's
key, which the database does not hold: a chain that was written anew has no seal that holds. What no seal can tell is an
older state of log and head that was put back as a whole; a head that was kept elsewhere tells that (`holds`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from models.domain.base import Clock, Frozen, Time, canonical_json, sha256_hex
from models.domain.errors import BadInput
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
class AuditHead:
    """The newest entry: its number (0: there is none) and its hash. `str` and `parse` are each other's inverse."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> AuditHead:
        """From `NUMBER:HASH`. Raises BadInput."""
        match = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text.strip())
        if match is None:
            raise BadInput(f"{text!r} is not a head of the audit log; `suture audit head` prints one")
        return cls(int(match[1]), match[2])


@dataclass(frozen=True)
class AuditReport:
    """What a verification found: how many entries, and each break in words."""

    entries: int
    breaks: tuple[str, ...]


class AuditLog:
    """Appends inside the transaction of the change itself: no change without its entry, no entry without its change."""

    def __init__(self, database: Database, clock: Clock, key: Callable[[], bytes] | None = None) -> None:
        """`key` gives the key that seals the head; without one, a chain that was written anew is not found."""
        self._database = database
        self._clock = clock
        self._key = key

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
        # A seal that does not hold is never made good: an entry of ours must not cover up what was done before it.
        if self._key is not None and (head is None or self._is_sealed(head)):
            value["seal"] = self._seal(number, str(fields["hash"]))
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
        told = head if isinstance(head, dict) else {"number": 0, "hash": _GENESIS}
        if (told.get("number"), told.get("hash")) != (expected - 1, previous):
            breaks.append(
                f"the log ends at entry {expected - 1}, but its recorded head is another: its end was cut off"
            )
        elif head is not None and self._key is not None and not self._is_sealed(told):
            breaks.append(
                f"entry {expected - 1}, the last, has no seal of this installation's key: the log was written anew"
            )
        return AuditReport(entries=count, breaks=tuple(breaks))

    def has_seal(self) -> bool:
        """Whether the newest entry is sealed, by whichever key."""
        with self._database.read() as connection:
            head = connection.execute(select(switches.c.value).where(switches.c.name == _HEAD)).scalar()
        return bool(head and head.get("seal"))

    def head(self) -> AuditHead:
        """The newest entry: kept elsewhere, it shows later that the log still begins with what it was then."""
        with self._database.read() as connection:
            head = connection.execute(select(switches.c.value).where(switches.c.name == _HEAD)).scalar()
        return AuditHead(head["number"], head["hash"]) if head else AuditHead(0, _GENESIS)

    def holds(self, head: AuditHead) -> bool:
        """Whether the log has the entry of an earlier head, as it was."""
        query = select(audit.c.hash).where(audit.c.number == head.number)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        return found == head.hash or head == AuditHead(0, _GENESIS)

    def _is_sealed(self, head: dict[str, Any]) -> bool:
        seal = self._seal(head["number"], head["hash"])
        return hmac.compare_digest(str(head.get("seal", "")).encode(), seal.encode())

    def _seal(self, number: int, digest: str) -> str:
        assert self._key is not None
        # The first word keeps it apart from whatever else the key signs.
        return hmac.new(self._key(), f"audit-head {number} {digest}".encode(), hashlib.sha256).hexdigest()


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
