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

from models.detection.compiled import compiled
from models.detection.meaning import Kind
from models.detection.state import Marks, Row, Rows, Slots

Floats = NDArray[np.float64]

_COUNTER, _SUM = int(Kind.COUNTER), int(Kind.SUM)
_ANSCOMBE = 3.0 / 8.0
NO_EVENT = 2.0 * _ANSCOMBE**0.5
"""No event, on the scale of scoring."""
_INTERVAL_GAIN = 0.05
LARGEST = 1e150
"""A sample beyond it counts as none: sums and products of such overflow."""


SET_BACK = 30
"""Samples in a row that are older than the last one before the clock counts as set back; fewer are sent late."""


@compiled
def read(
    rows: Rows,
    marks: Marks,
    slots: Slots,
    positions: Slots,
    siblings: Slots,
    values: Floats,
    at: float,
    heard: float,
) -> None:
    """Set `observed` (own unit) and `value` (scale of scoring) of each of m marks, NaN where this tick has none.

    `values` is the batch's, shape [n]; `positions` and `siblings` (the `_count` of a sum, -1: none) point into it,
    `slots` into `rows`, shape [m] each; `at` is in unix seconds, `heard` in the detector's own. Updates what rows
    remember of their last sample, and starts the history of a series anew that turns out not to hold whole numbers.
    """
    for place in range(len(slots)):
        row, mark, sample = rows[slots[place]], marks[place], values[positions[place]]
        mark.observed = mark.value = np.nan
        if not abs(sample) <= LARGEST:
            continue
        row.heard = heard
        elapsed = since_last(row, at)
        if elapsed == 0.0:
            continue
        count = values[siblings[place]] if siblings[place] >= 0 else np.nan
        count = count if abs(count) <= LARGEST else np.nan
        change, events = sample - row.last_value, count - row.last_count
        row.last_value, row.last_count, row.last_at = sample, count, at
        if elapsed < np.inf:
            usual = min(max(elapsed, row.interval / 2), row.interval * 2)
            row.interval = row.interval + _INTERVAL_GAIN * (usual - row.interval) if row.interval > 0.0 else elapsed
        if row.whole and sample != np.floor(sample):
            row.whole = False
            row.seen = 0
        observed = sample
        if row.kind in (_COUNTER, _SUM):
            observed = change / elapsed if change >= 0.0 and elapsed < np.inf else np.nan
            if row.kind == _SUM and not np.isnan(count):
                observed = change / events if change >= 0.0 and events > 0.0 else np.nan
        if not abs(observed) <= LARGEST:
            continue
        mark.observed = mark.value = row.observed = observed
        if row.kind == _COUNTER and row.whole:
            mark.value = 2.0 * np.sqrt(max(observed, 0.0) * row.interval + _ANSCOMBE)


@compiled
def since_last(row: Row, at: float) -> float:
    """Seconds from a series' last sample to one of the time `at`; 0: not to be taken, infinity: nobody knows."""
    elapsed = at - row.last_at
    if elapsed < 0.0:
        row.behind += 1
        if row.behind < SET_BACK:
            return 0.0
        row.last_value = np.nan
        elapsed = np.inf
    if elapsed > 0.0:
        row.behind = 0
    return float(elapsed)


def from_scale(rows: Rows, scaled: Floats) -> Floats:
    """From the scale of scoring back to the unit of what was observed: forecasts and bands, shape [n]."""
    interval = np.where(rows["interval"] > 0, rows["interval"], 1.0)
    rate = np.maximum((np.maximum(scaled, 0.0) / 2.0) ** 2 - _ANSCOMBE, 0.0) / interval
    return np.where((rows["kind"] == _COUNTER) & rows["whole"], rate, scaled)
