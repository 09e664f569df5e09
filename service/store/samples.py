"""Recent samples in an embedded store: what checks, diagnoses and the embedded PromQL read.

It is a bounded cache, not state: its tables are its own (no migration touches them), and where the version of their
layout differs from this code's they are dropped and made anew. Losing it costs nothing but recent history.

Times are kept in whole milliseconds, as Prometheus does. Any number of processes and threads may read and write:
writers take turns, readers never wait on SQLite (WAL) or PostgreSQL.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from models.detection.batch import Batch
from models.domain.base import Clock, Labels
from service.store import samples_schema as schema

_MILLISECONDS = 1000
_SERIES_AT_ONCE = 500
"""Series read by one statement: far below SQLite's limit of 32,766 bound values, and bounds what is held in memory."""

_Key = frozenset[tuple[str, str]]


class SampleStore:
    """Samples of the last `retention`, of at most `max_series` series. Reads as `SampleReader` of service/ports.py."""

    def __init__(self, url: str, *, retention: timedelta, max_series: int, clock: Clock) -> None:
        """Open the store, making its tables where needed.

        `url` is a SQLAlchemy URL: `sqlite:///FILE` (a file of its own) or `postgresql://…`. Raises BadInput where it
        is not one, Unavailable where the database does not answer.
        """
        self._retention = retention
        self._max_series = max_series
        self._clock = clock
        self._database = schema.Database(url)
        self._lock = threading.RLock()
        self._generation = ""
        self._ids: dict[_Key, int] = {}
        self._labels: dict[int, Labels] = {}
        self._metrics: dict[str, set[int]] = {}
        self._last_id = 0
        self._pruned_at = clock()
        self.appended = 0
        """Samples kept since the start."""
        self.refused = 0
        """Samples refused since the start because the store held `max_series` series."""

    def append(self, batch: Batch) -> int:
        """Keep the batch's samples; the last write of a series and time wins. NaN is no sample; infinities are kept.

        Returns how many samples were refused because their series would be one too many. Prunes once in a while, so
        that the store stays bounded even where nobody calls `prune`. Raises Unavailable.
        """
        wanted = [
            (frozenset(labels.items()), labels, float(value))
            for labels, value in zip(batch.series, batch.values, strict=True)
            if not math.isnan(value)
        ]
        with self._lock:
            try:
                written = self._write(round(batch.at * _MILLISECONDS), wanted)
            except BaseException:
                self._generation = ""  # the cache may hold ids that were rolled back
                raise
        refused = len(wanted) - written
        self.appended += written
        self.refused += refused
        if self._clock() - self._pruned_at >= self._prune_interval:
            self.prune()
        return refused

    def select(
        self, matches: Callable[[Labels], bool], start: datetime, end: datetime, metric: str | None = None
    ) -> Iterator[tuple[Labels, Sequence[tuple[float, float]]]]:
        """Series whose labels match, each with (unix seconds, value) pairs in time order, both ends included.

        `metric`, where the name is known, narrows the search before `matches` is asked. A series without a sample
        between the ends is left out. Reads as it is iterated. Raises Unavailable.
        """
        found = self._matching(matches, metric)
        low, high = (round(moment.timestamp() * _MILLISECONDS) for moment in (start, end))
        ids = sorted(found)
        for offset in range(0, len(ids), _SERIES_AT_ONCE):
            with self._database.reading() as connection:
                rows = connection.execute(
                    _SELECT, {"ids": ids[offset : offset + _SERIES_AT_ONCE], "low": low, "high": high}
                ).all()
            for series_id, points in groupby(rows, key=lambda row: row[0]):
                yield dict(found[series_id]), [(at / _MILLISECONDS, value) for _, at, value in points]

    def prune(self) -> int:
        """Remove samples older than the retention, then series with none left. Returns how many samples went."""
        now = self._clock()
        cutoff = round((now - self._retention).timestamp() * _MILLISECONDS)
        with self._lock, self._database.writing() as connection:
            # Going through the series lets SQLite seek in the primary key instead of reading every sample.
            known = sa.select(schema.SERIES.c.id)
            removed = connection.execute(
                sa.delete(schema.SAMPLES).where(schema.SAMPLES.c.series_id.in_(known), schema.SAMPLES.c.at < cutoff)
            ).rowcount
            used = sa.exists().where(schema.SAMPLES.c.series_id == schema.SERIES.c.id)
            if connection.execute(sa.delete(schema.SERIES).where(~used)).rowcount:
                schema.renew_generation(connection)
            self._pruned_at = now
        return removed

    def series_count(self) -> int:
        """How many series the store holds now."""
        with self._database.reading() as connection:
            return self._count(connection)

    def close(self) -> None:
        """Let go of every connection."""
        self._database.close()

    def _write(self, at: int, wanted: list[tuple[_Key, Labels, float]]) -> int:
        with self._database.writing() as connection:
            self._refresh(connection, [key for key, _, _ in wanted])
            self._add_series(connection, {key: labels for key, labels, _ in wanted if key not in self._ids})
            rows = [
                {"series_id": self._ids[key], "at": at, "value": value} for key, _, value in wanted if key in self._ids
            ]
            if rows:
                connection.execute(_upsert(connection), rows)
        return len(rows)

    @property
    def _prune_interval(self) -> timedelta:
        # A twentieth of the retention is what may be kept too long; each prune touches every series once.
        return min(self._retention / 20, timedelta(minutes=5))

    def _matching(self, matches: Callable[[Labels], bool], metric: str | None) -> dict[int, Labels]:
        with self._lock:
            with self._database.reading() as connection:
                self._refresh(connection, None)
            ids = self._metrics.get(metric, ()) if metric is not None else self._labels
            return {series_id: self._labels[series_id] for series_id in ids if matches(self._labels[series_id])}

    def _refresh(self, connection: sa.Connection, keys: list[_Key] | None) -> None:
        """Bring the cache of labels up to date; not needed where all `keys` are known in this generation."""
        generation = schema.generation(connection)
        if generation != self._generation:
            # Series were removed: ids in the cache may be gone.
            self._ids, self._labels, self._metrics, self._last_id = {}, {}, {}, 0
            self._generation = generation
        if keys is not None and all(key in self._ids for key in keys):
            return
        # Ids grow in commit order because writers take turns: what is new stands after the last one seen.
        columns = (schema.SERIES.c.id, schema.SERIES.c.metric, schema.SERIES.c.labels)
        new = sa.select(*columns).where(schema.SERIES.c.id > self._last_id).order_by(schema.SERIES.c.id)
        for series_id, metric, labels in connection.execute(new):
            self._ids[frozenset(labels.items())] = series_id
            self._labels[series_id] = labels
            self._metrics.setdefault(metric, set()).add(series_id)
            self._last_id = series_id

    def _add_series(self, connection: sa.Connection, new: dict[_Key, Labels]) -> None:
        room = self._max_series - self._count(connection) if new else 0
        rows = [
            {"metric": labels.get("__name__", ""), "labels": labels, "fingerprint": _fingerprint(labels)}
            for labels in list(new.values())[: max(room, 0)]
        ]
        if rows:
            connection.execute(sa.insert(schema.SERIES), rows)
            self._refresh(connection, None)

    @staticmethod
    def _count(connection: sa.Connection) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(schema.SERIES)).scalar_one())


_SELECT = (
    sa.select(schema.SAMPLES.c.series_id, schema.SAMPLES.c.at, schema.SAMPLES.c.value)
    .where(
        schema.SAMPLES.c.series_id.in_(sa.bindparam("ids", expanding=True)),
        schema.SAMPLES.c.at.between(sa.bindparam("low"), sa.bindparam("high")),
    )
    .order_by(schema.SAMPLES.c.series_id, schema.SAMPLES.c.at)
)


def _upsert(connection: sa.Connection) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(schema.SAMPLES)
    return insert.on_conflict_do_update(
        index_elements=[schema.SAMPLES.c.series_id, schema.SAMPLES.c.at], set_={"value": insert.excluded.value}
    )


def _fingerprint(labels: Labels) -> str:
    """SHA-256 of the labels. Escaped to ASCII: a label may hold what UTF-8 cannot encode."""
    return hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()
