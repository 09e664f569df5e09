"""From samples to the scale on which they are scored, and back.

- a gauge is scored as it is;
- a counter as its rate; whole-numbered counters (events) on the scale 2 * sqrt(events per interval + 3/8), where
  Poisson noise has variance 1 whatever the rate (Anscombe 1948), so that an idle and a busy counter are judged alike;
- the sum of a histogram as its mean per event since the last tick.

A counter that falls was reset: nobody knows when, so that tick has no rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.detection.meaning import Kind
from models.detection.state import Rows

Floats = NDArray[np.float64]

_ANSCOMBE = 3.0 / 8.0
INTERVAL_GAIN = 0.05


def observed_of(rows: Rows, at: float, values: Floats, counts: Floats) -> Floats:
    """The observed quantity of each series in its own unit, shape [n], NaN where this tick has none.

    `values` are the samples, `counts` those of the sibling `_count` of sums (NaN: none). Updates what `rows` remember
    of the last sample, and starts a counter's history anew where it turns out not to count whole events.
    """
    kind = rows["kind"]
    elapsed = at - rows["last_at"]
    change = values - rows["last_value"]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(change >= 0, change / elapsed, np.nan)
        events = counts - rows["last_count"]
        mean = np.where((events > 0) & (change >= 0), change / events, np.nan)
        usual = np.clip(elapsed, rows["interval"] / 2, rows["interval"] * 2)
    first = rows["interval"] == 0
    rows["interval"] = np.where(
        first,
        np.where(np.isfinite(elapsed), elapsed, 0.0),
        rows["interval"] + INTERVAL_GAIN * (np.where(first, 0.0, usual) - rows["interval"]),
    )
    whole = rows["whole"] & (values == np.floor(values))
    rows["seen"] = np.where(whole != rows["whole"], 0, rows["seen"])
    rows["whole"] = whole
    rows["last_value"], rows["last_count"] = values.copy(), counts.copy()
    rows["last_at"] = np.full(len(values), at)
    has_count = np.isfinite(counts)
    return np.select(
        [kind == Kind.COUNTER, (kind == Kind.SUM) & has_count, kind == Kind.SUM], [rate, mean, rate], default=values
    )


def counts_events(rows: Rows) -> NDArray[np.bool_]:
    """Which series count whole events."""
    return np.asarray((rows["kind"] == Kind.COUNTER) & rows["whole"])


def to_scale(rows: Rows, observed: Floats) -> Floats:
    """Observed quantities on the scale of scoring."""
    with np.errstate(invalid="ignore"):
        root = 2.0 * np.sqrt(np.maximum(observed, 0.0) * rows["interval"] + _ANSCOMBE)
    return np.where(counts_events(rows), root, observed)


def from_scale(rows: Rows, scaled: Floats) -> Floats:
    """The inverse of `to_scale`: forecasts and bands in the unit of what was observed."""
    interval = np.where(rows["interval"] > 0, rows["interval"], 1.0)
    rate = np.maximum((np.maximum(scaled, 0.0) / 2.0) ** 2 - _ANSCOMBE, 0.0) / interval
    return np.where(counts_events(rows), rate, scaled)
