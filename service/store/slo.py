"""What objectives counted, by minute and by hour, and what was last said of each.

Bounded: of an objective 1,440 minutes and as many hours as its window has. The samples may be gone long before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, case, delete, func, insert, select, update

from models.detection.slo.burn import Counts
from models.detection.slo.objective import MINUTES_KEPT, SLOT
from models.domain.base import Frozen, Time
from models.domain.signal import Signal
from service.store.tables import slo_counts, slo_states

HOUR = timedelta(hours=1)
_MINUTE_SECONDS, _HOUR_SECONDS = 60, 3600
_LONGEST = timedelta(days=91)
"""What is older belongs to no window of any objective."""
_C = slo_counts.c


Slots = list[tuple[datetime, Counts | None]]
"""Starts of minutes or hours, and what was counted; None where nothing could be."""


class SloState(Frozen):
    """What was last said of an objective."""

    at: Time
    """Up to when it was judged."""
    firing: tuple[int, ...] = Field(default=())
    """Places of the alerts that fire."""
    signal: Signal | None = None
    """The one that fires."""
    since: Time | None = None
    """When it began to fire."""
    forgiven_until: Time | None = None
    """What was bad before was told, and is over: it is not told again."""
    problem: str | None = None
    """Why it could not be measured at `at`; what fired then goes on."""


class SloCounts:
    """The repository of counts. All calls are within the caller's transaction."""

    def newest(self, connection: Connection, keys: Collection[str]) -> dict[str, datetime]:
        """The end of the newest minute of each key that has one."""
        newest = (
            select(_C.key, func.max(_C.at))
            .where(_C.key.in_(list(keys)), _C.seconds == _MINUTE_SECONDS)
            .group_by(_C.key)
        )
        return {key: _time(at) + SLOT for key, at in connection.execute(newest)}

    def oldest_hour(self, connection: Connection, key: str) -> datetime | None:
        """The start of the oldest hour."""
        oldest = select(func.min(_C.at)).where(_C.key == key, _C.seconds == _HOUR_SECONDS)
        at = connection.execute(oldest).scalar()
        return None if at is None else _time(at)

    def add_minutes(self, connection: Connection, key: str, slots: Slots) -> None:
        """Count minutes, each once: what was counted already is left as it is. The hours count them too."""
        added = self._insert(connection, key, _MINUTE_SECONDS, slots)
        hours: dict[datetime, Counts | None] = {}
        for start, counts in added:
            hour = start.replace(minute=0)
            before = hours.get(hour)
            hours[hour] = counts if before is None else before + counts if counts is not None else before
        new = dict(self._insert(connection, key, _HOUR_SECONDS, list(hours.items())))
        for hour, counts in hours.items():
            if hour not in new and counts is not None:
                more = {"total": _sum(_C.total, counts.total), "bad": _sum(_C.bad, counts.bad)}
                same = (_C.key == key, _C.seconds == _HOUR_SECONDS, _C.at == hour.timestamp())
                connection.execute(update(slo_counts).where(*same).values(**more))

    def add_hours(self, connection: Connection, key: str, slots: Slots) -> None:
        """Hours of before the first minute, each as a whole."""
        self._insert(connection, key, _HOUR_SECONDS, slots)

    def sums(
        self,
        connection: Connection,
        key: str,
        end: datetime,
        windows: Iterable[timedelta],
        forgiven_until: datetime | None = None,
    ) -> dict[timedelta, Counts]:
        """The events of each window that ends at `end`: from minutes, beyond a day from whole hours.

        What was bad before `forgiven_until` is counted as good.
        """
        forgiven = forgiven_until.timestamp() if forgiven_until is not None else 0.0
        short = [span for span in windows if span <= MINUTES_KEPT]
        long = [span for span in windows if span > MINUTES_KEPT]
        found: dict[timedelta, Counts] = {}
        for seconds, spans in ((_MINUTE_SECONDS, short), (_HOUR_SECONDS, long)):
            if spans:
                row = connection.execute(_sums(key, seconds, round(end.timestamp()), spans, forgiven)).one()
                found |= {span: Counts(row[2 * n], row[2 * n + 1]) for n, span in enumerate(spans)}
        return found

    def hours_counted(self, connection: Connection, key: str, since: datetime) -> int:
        """How many hours from `since` on have counts."""
        counted = select(func.count(_C.total)).where(
            _C.key == key, _C.seconds == _HOUR_SECONDS, _C.at >= since.timestamp()
        )
        return int(connection.execute(counted).scalar_one())

    def forget(self, connection: Connection, now: datetime) -> None:
        """Remove what belongs to no window any more."""
        for seconds, kept in ((_MINUTE_SECONDS, MINUTES_KEPT + HOUR), (_HOUR_SECONDS, _LONGEST)):
            before = (now - kept).timestamp()
            connection.execute(delete(slo_counts).where(_C.seconds == seconds, _C.at < before))

    @staticmethod
    def _insert(connection: Connection, key: str, seconds: int, slots: Slots) -> Slots:
        """Those that were not there yet."""
        if not slots:
            return []
        starts = [start.timestamp() for start, _ in slots]
        there = select(_C.at).where(_C.key == key, _C.seconds == seconds, _C.at.between(min(starts), max(starts)))
        known = set(connection.execute(there).scalars())
        new = [(start, counts) for start, counts in slots if round(start.timestamp()) not in known]
        if new:
            connection.execute(insert(slo_counts), [_row(key, seconds, *slot) for slot in new])
        return new


class SloStates:
    """The repository of what was said."""

    def all(self, connection: Connection) -> dict[str, SloState]:
        """By the objective's id."""
        rows = connection.execute(select(slo_states.c.id, slo_states.c.document))
        return {identifier: SloState.model_validate(document) for identifier, document in rows}

    def save(self, connection: Connection, identifier: str, state: SloState) -> None:
        """Keep it in place of what was there."""
        self.remove(connection, identifier)
        connection.execute(insert(slo_states).values(id=identifier, document=state.model_dump(mode="json")))

    def remove(self, connection: Connection, identifier: str) -> None:
        """The objective is there no more."""
        connection.execute(delete(slo_states).where(slo_states.c.id == identifier))


def _sums(key: str, seconds: int, end: int, spans: list[timedelta], forgiven: float) -> Select[Any]:
    columns = []
    for span in spans:
        start = end - span.total_seconds()
        for column, since in ((_C.total, start), (_C.bad, max(start, forgiven))):
            columns.append(func.coalesce(func.sum(case((_C.at >= since, column), else_=None)), 0.0))
    first = end - max(spans).total_seconds()
    return select(*columns).where(_C.key == key, _C.seconds == seconds, _C.at >= first, _C.at < end)


def _row(key: str, seconds: int, start: datetime, counts: Counts | None) -> dict[str, Any]:
    total, bad = counts if counts is not None else (None, None)
    return {"key": key, "seconds": seconds, "at": round(start.timestamp()), "total": total, "bad": bad}


def _sum(column: ColumnElement[float], more: float) -> ColumnElement[float]:
    return func.coalesce(column, 0.0) + more


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
