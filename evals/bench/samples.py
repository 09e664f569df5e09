"""The embedded store of samples and its queries."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from evals.bench.figures import Figure, percentiles, timed
from models.detection.batch import Batch

_SERIES, _TICKS, _QUERIES = 1_000, 60, 50
_INTERVAL = 15.0
_START = datetime(2026, 1, 1, tzinfo=UTC)
_ALL = "sum by (service) (rate(http_requests_total[5m]))"
_QUERY = 'sum by (service) (rate(http_requests_total{code="500"}[5m])) / ' + _ALL


def bench_samples(folder: Path) -> list[Figure]:
    """Appending ticks of 1,000 series, beside SQLite's own insert of as many rows; and one PromQL query over them."""
    from service.promql import evaluate
    from service.store.samples import SampleStore

    store = SampleStore(
        f"sqlite:///{folder / 'samples.db'}", retention=timedelta(hours=6), max_series=50_000, clock=lambda: _START
    )
    try:
        appended = timed([partial(store.append, batch) for batch in _batches()])[1:]  # the first makes the series
        end = _START + timedelta(seconds=_INTERVAL * _TICKS)
        asked = timed([partial(evaluate, _QUERY, store, end)] * _QUERIES)
    finally:
        store.close()
    count = _SERIES * len(appended)
    plain = _SERIES * _TICKS / sum(_plain_inserts(folder))
    note = f"{_SERIES:,} series a tick; peer: SQLite's own insert"
    append = Figure("sample store, append", count / sum(appended), "samples/s", plain, note)
    note = f"two rates over 5 min of {_SERIES:,} series"
    return [append, *percentiles("PromQL query", asked, note=note)]


def _batches() -> list[Batch]:
    random = np.random.default_rng(1)
    series = tuple(
        {"__name__": "http_requests_total", "service": f"s{n % 10}", "pod": f"p{n}", "code": "500" if n % 4 else "200"}
        for n in range(_SERIES)
    )
    values = random.integers(0, 50, (_TICKS, _SERIES)).cumsum(axis=0).astype(np.float64)
    start = _START.timestamp()
    return [Batch(at=start + _INTERVAL * tick, series=series, values=values[tick]) for tick in range(_TICKS)]


def _plain_inserts(folder: Path) -> list[float]:
    connection = sqlite3.connect(folder / "plain.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE samples (series INTEGER, at INTEGER, value REAL, PRIMARY KEY (series, at))")
    ticks = [[(series, tick, float(series)) for series in range(_SERIES)] for tick in range(_TICKS)]

    def insert(rows: list[tuple[int, int, float]]) -> None:
        with connection:
            connection.executemany("INSERT INTO samples VALUES (?, ?, ?)", rows)

    try:
        return timed([partial(insert, rows) for rows in ticks])
    finally:
        connection.close()
