"""What was measured until a recommendation: every series of the sandbox, thinned, with nothing from later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from models.domain.base import utc_now
from service.store.samples import SampleStore

BEFORE = timedelta(seconds=180)
"""What is kept of the time before the recommendation: enough to see what was usual."""
STEPS = ((15.0, 0.0), (60.0, 5.0), (BEFORE.total_seconds(), 20.0))
"""Up to so many seconds back: at least so many seconds between two samples. The runbooks' checks take rates over ten
seconds in the sandbox: these are there in full."""
DIGITS = 9
"""Significant digits of a value: counters of the sandbox stay exact."""
_LEFT_OUT = ("scrape_samples_scraped",)
Points = Sequence[tuple[float, float]]


def recorded(state_dir: Path, until: datetime) -> list[dict[str, Any]]:
    """The series of a running service's store, as a labelled incident has them, up to `until`."""
    samples = SampleStore(
        f"sqlite:///{state_dir / 'samples.db'}", retention=timedelta(hours=1), max_series=100_000, clock=utc_now
    )
    try:
        found = samples.select(lambda labels: labels.get("__name__") not in _LEFT_OUT, until - BEFORE, until)
        return [_row(labels, points, until.timestamp()) for labels, points in found]
    finally:
        samples.close()


def thinned(points: Points, end: float) -> list[tuple[float, float]]:
    """Fewer samples, the older the fewer.

    Of a series that never moved, the first and the last two: they say what it is, and that its rate is 0.
    """
    if len({value for _, value in points}) == 1 and len(points) > 3:
        return [points[0], *points[-2:]]
    return sorted(_kept(points, end))


def _kept(points: Points, end: float) -> Iterator[tuple[float, float]]:
    """From the latest on; of those that are too near to one that was taken, none."""
    taken = float("inf")
    for at, value in reversed(points):
        apart = next((step for back, step in STEPS if end - at <= back), STEPS[-1][1])
        if taken - at >= apart:
            taken = at
            yield at, value


def _row(labels: dict[str, str], points: Points, end: float) -> dict[str, Any]:
    kept = thinned(points, end)
    return {
        "labels": labels,
        "at": [round(at, 3) for at, _ in kept],
        "values": [float(f"{value:.{DIGITS}g}") for _, value in kept],
    }
