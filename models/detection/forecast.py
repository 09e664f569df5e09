"""One-step forecasts with their scale, for all series at once.

Two exponentially weighted levels run side by side, a slow one for noise around a level and a fast one for series that
wander; the one with the smaller mean error so far speaks. Updates are clipped (Huber 1964), so that an outlier moves
neither level nor scale by much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.detection.config import DetectorConfig
from models.detection.meaning import Kind
from models.detection.rates import counts_events
from models.detection.state import Rows

Floats = NDArray[np.float64]

SLOW_GAIN = 0.05
FAST_GAIN = 0.5
ERROR_GAIN = 0.02
CLIP = 4.0
"""Errors count up to this many scales; beyond, the level is not moved at all. Also the half-width of the band."""
CLIP_FROM = 8
"""Values before which there is no scale to clip by."""
TO_DEVIATION = 1.2533
"""Standard deviation of a Gaussian over its mean absolute deviation: sqrt(pi / 2)."""
TRAFFIC_SHARE = 0.12
STATE_FLOOR = 0.02
"""A state that is not 1 is far away, whatever was before."""


def forecast(rows: Rows, config: DetectorConfig) -> tuple[Floats, Floats]:
    """The expected value and its scale (> 0) of each series on the scale of scoring, shape [n] each."""
    slow = rows["slow_error"] <= rows["fast_error"]
    level = np.where(slow, rows["slow"], rows["fast"])
    error = np.where(slow, rows["slow_error"], rows["fast_error"])
    return level, np.maximum(TO_DEVIATION * error, _floor(rows, level, config))


def _floor(rows: Rows, level: Floats, config: DetectorConfig) -> Floats:
    size = np.abs(level)
    share = config.floor_share * size
    # Whole-numbered gauges (connections, open files) step by one without meaning anything by it.
    whole = np.maximum(np.maximum(1.0, 0.5 * np.sqrt(size)), share)
    # Traffic varies by more than Poisson noise. A share of a rate is half that share on the square-root scale.
    events = np.maximum(1.0, TRAFFIC_SHARE / 2 * size)
    least = np.maximum(config.floor, share)
    least = np.where(rows["whole"] & (rows["kind"] == Kind.GAUGE), whole, least)
    least = np.where(counts_events(rows), events, least)
    least = np.where(rows["kind"] == Kind.STATE, STATE_FLOOR, least)
    return np.maximum(least, 1e-12)


def learn(
    rows: Rows, value: Floats, frozen: NDArray[np.bool_], fast_frozen: NDArray[np.bool_], config: DetectorConfig
) -> None:
    """Move levels and errors towards `value` (scale of scoring), except where frozen."""
    seen = rows["seen"]
    first = 1.0 / (seen + 1.0)
    _, scale = forecast(rows, config)
    limit = np.where(seen >= CLIP_FROM, CLIP * scale, np.inf)
    for name, gain, still in (("slow", SLOW_GAIN, frozen), ("fast", FAST_GAIN, fast_frozen)):
        error = value - rows[name]
        move = np.where(np.abs(error) <= limit, error, 0.0) * np.maximum(first, gain)
        size = np.minimum(np.abs(error), limit)
        size = np.where(seen == 0, 0.0, size)
        # The first error that is known is that of the second value: hence `seen`, not `seen + 1`.
        change = (size - rows[name + "_error"]) * np.maximum(1.0 / np.maximum(seen, 1), ERROR_GAIN)
        rows[name] = np.where(still, rows[name], rows[name] + move)
        rows[name + "_error"] = np.where(frozen, rows[name + "_error"], rows[name + "_error"] + change)
    rows["seen"] = np.minimum(seen + 1, np.iinfo(np.int32).max - 1)


def adopt(rows: Rows, value: Floats, where: NDArray[np.bool_], seen: int) -> None:
    """Make `value` the new normal of those series, with as little certainty as after `seen` values."""
    for name in ("slow", "fast"):
        rows[name] = np.where(where, value, rows[name])
    rows["seen"] = np.where(where, seen, rows["seen"])
