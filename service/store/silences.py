"""Silences: signals that fit their matchers open nothing while they hold, and are counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from models.domain.base import Clock, Frozen, Time
from models.domain.errors import BadInput, Conflict, NotFound
from models.domain.signal import Signal
from service.matchers import Matcher, labels_of
from service.store.audit import AuditLog
from service.store.database import CORRELATE, Database
from service.store.identifiers import number_of
from service.store.maintenance import stamp, utc
from service.store.tables import silences

_PREFIX = "SIL-"
SHOWN = 20
"""Different signals that a silence shows: those that came last."""


class SilencedSignal(Frozen):
    """One fingerprint that a silence held back."""

    fingerprint: str
    name: str
    service: str | None
    count: int
    last_at: Time
    """Its own time, not that of its coming."""


class Silence(Frozen):
    """When which signals open nothing. `id` is `SIL-<number>`, given by the store."""

    id: str
    matchers: tuple[Matcher, ...]
    """All of them must fit."""
    starts_at: Time
    ends_at: Time
    """As it was planned; `ended_at` where a person ended it earlier."""
    reason: str
    by: str
    ended_at: Time | None = None
    ended_by: str | None = None
    count: int = 0
    """Signals that it held back, repeats included."""
    signals: tuple[SilencedSignal, ...] = ()
    """The different ones of them, the latest first, 20 at most."""

    def fits(self, signal: Signal) -> bool:
        """Whether all matchers fit the signal."""
        labels = labels_of(signal)
        return all(each.fits(labels) for each in self.matchers)

    def with_signals(self, held: Sequence[Signal]) -> Silence:
        """After it held these back."""
        known = {each.fingerprint: each for each in reversed(self.signals)}
        for signal in held:
            before = known.pop(signal.fingerprint, None)
            known[signal.fingerprint] = SilencedSignal(
                fingerprint=signal.fingerprint, name=signal.name, service=signal.service,
                count=(before.count if before else 0) + 1, last_at=signal.at,
            )  # fmt: skip
        latest = tuple(reversed(known.values()))[:SHOWN]
        return self.model_copy(update={"count": self.count + len(held), "signals": latest})


class Silences:
    """The repository of silences."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def add(
        self, *, matchers: Sequence[Matcher], starts_at: datetime | None, ends_at: datetime, reason: str, actor: str
    ) -> Silence:
        """Silence from now on where `starts_at` is None. Raises BadInput where it would have no time."""
        with self._database.write() as connection:
            # Signals that are being taken in are before it, or see it.
            self._database.lock(connection, CORRELATE)
            now = self._clock()
            begins, ends = utc(starts_at or now), utc(ends_at)
            if ends <= begins and starts_at is not None:
                raise BadInput(f"the silence ends at {ends_at.isoformat()}, which is not after its start")
            if ends <= now:
                raise BadInput(f"the silence ended already, at {ends_at.isoformat()}")
            silence = Silence(id="", matchers=tuple(matchers), starts_at=begins, ends_at=ends, reason=reason, by=actor)
            inserted = connection.execute(
                insert(silences).values(starts_at=stamp(begins), ends_at=stamp(ends), document=_document(silence))
            )
            silence = silence.model_copy(update={"id": f"{_PREFIX}{inserted.inserted_primary_key[0]}"})  # type: ignore[index]
            self._audit.append(connection, "silence.added", silence.id, _told(silence), actor)
        return silence

    def all(self, limit: int = 200) -> list[Silence]:
        """The newest silences, ended ones included, newest first."""
        query = select(silences).order_by(silences.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return [_silence(row.number, row.document) for row in connection.execute(query)]

    def get(self, identifier: str) -> Silence:
        """One silence. Raises NotFound."""
        with self._database.read() as connection:
            return self._get(connection, identifier)

    def end(self, identifier: str, actor: str) -> Silence:
        """End a silence now, or call off one that has not begun. Raises NotFound, Conflict where it is over."""
        with self._database.write() as connection:
            self._database.lock(connection, CORRELATE)
            now = self._clock()
            silence = self._get(connection, identifier)
            if silence.ended_at is not None or silence.ends_at <= now:
                over = (silence.ended_at or silence.ends_at).isoformat()
                raise Conflict(f"{identifier} is over already, since {over}")
            silence = silence.model_copy(update={"ended_at": now, "ended_by": actor})
            connection.execute(
                update(silences)
                .where(silences.c.number == _number(identifier))
                .values(ends_at=stamp(now), document=_document(silence))
            )
            self._audit.append(connection, "silence.ended", silence.id, _told(silence), actor)
        return silence

    def _get(self, connection: Connection, identifier: str) -> Silence:
        query = select(silences.c.document).where(silences.c.number == _number(identifier))
        document = connection.execute(query).scalar()
        if document is None:
            raise NotFound(f"there is no silence {identifier}")
        return _silence(_number(identifier), document)


def holding(connection: Connection, now: datetime) -> list[Silence]:
    """The silences that hold now, oldest first."""
    at = stamp(now)
    query = select(silences).where(silences.c.starts_at <= at, silences.c.ends_at > at).order_by(silences.c.number)
    return [_silence(row.number, row.document) for row in connection.execute(query)]


def count(connection: Connection, silence: Silence, held: Sequence[Signal]) -> None:
    """Keep what it held back. The caller holds the lock under which signals are taken in."""
    document = _document(silence.with_signals(held))
    connection.execute(update(silences).where(silences.c.number == _number(silence.id)).values(document=document))


def _number(identifier: str) -> int:
    return number_of(identifier, _PREFIX, "silence")


def _document(silence: Silence) -> dict[str, Any]:
    return silence.model_dump(mode="json", exclude={"id"})


def _told(silence: Silence) -> dict[str, Any]:
    """For the audit log: what a person decided, and how much it held back."""
    document = silence.model_dump(mode="json", exclude={"id", "signals", "matchers"})
    return document | {"matchers": [str(each) for each in silence.matchers]}


def _silence(number: int, document: dict[str, Any]) -> Silence:
    return Silence.model_validate({**document, "id": f"{_PREFIX}{number}"})
