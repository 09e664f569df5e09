"""One tick of every series: forecast, departure, p-value; and, once it is decided what is anomalous, learning.

Two exponentially weighted levels run side by side, a slow one for noise around a level and a fast one for series that
wander; the one with the smaller mean error so far speaks. Updates are clipped (Huber 1964), so that an outlier moves
neither level nor scale by much. Departures on one side add up in a two-sided CUSUM (Page 1954).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.detection.compiled import compiled
from models.detection.meaning import Kind
from models.detection.state import Mark, Marks, Row, Rows, Slots

Floats = NDArray[np.float64]

_GAUGE, _COUNTER, _STATE = int(Kind.GAUGE), int(Kind.COUNTER), int(Kind.STATE)
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
ALLOWANCE = 1.0
"""What the CUSUM forgives each tick, in scales: tuned to shifts of twice that (Page's rule)."""
TICK_AT_MOST = 8.0
"""One tick adds at most this much: a departure must last to be an anomaly."""
SCORE_AT_MOST = 80.0
LASTS = 2.0
"""A departure lasts while it is beyond this many scales on the same side."""
SERIES_TAIL_WEIGHT = 5.0
SERIES_RATE_WEIGHT = 20.0
PRIOR_RATE = 0.05
LEAST_TAIL = 0.5
"""The mean excess of a CUSUM of standard Gaussian noise with allowance 1 (1 / (2 * allowance)): no tail is lighter."""
LEAST_P = 1e-300
PEAK_AT_MOST = 5.0
"""A peak counts up to this many mean excesses in its series' tail: an incident must not deafen its series."""
MEMORY = 1.0 - 1.0 / 5000.0
"""A series' own tail forgets with this factor a tick."""


class Terms(NamedTuple):
    """What is the same for all series of a tick: settings, and the pooled tail of scores (`calibration`)."""

    warmup: int
    persist: int
    adapt_after: int
    floor: float
    floor_share: float
    threshold: float
    tail: float


@compiled
def scale_of(row: Row, level: float, error: float, terms: Terms) -> float:
    """The scale (> 0) of a series around `level`: its noise, and at least what means nothing for its kind."""
    size = abs(level)
    least = max(terms.floor, terms.floor_share * size)
    if row.kind == _STATE:
        least = STATE_FLOOR
    elif row.kind == _COUNTER and row.whole:
        # Traffic varies by more than Poisson noise. A share of a rate is half that share on the square-root scale.
        least = max(1.0, TRAFFIC_SHARE / 2 * size)
    elif row.kind == _GAUGE and row.whole:
        # Whole-numbered gauges (connections, open files) step by one without meaning anything by it.
        least = max(1.0, 0.5 * np.sqrt(size), terms.floor_share * size)
    return float(max(TO_DEVIATION * error, least, 1e-12) * row.tolerance)


@compiled
def expect(row: Row, mark: Mark, terms: Terms) -> None:
    """Set the level and the scale that the mark's value, or the next one, is held against."""
    slow = row.slow_error <= row.fast_error
    mark.level = row.slow if slow else row.fast
    mark.scale = scale_of(row, mark.level, row.slow_error if slow else row.fast_error, terms)


@compiled
def look(rows: Rows, marks: Marks, terms: Terms) -> None:
    """Set level, scale, score and p as they stand after the last tick, shape [n] each; the state is left as it is."""
    for place in range(len(rows)):
        row, mark = rows[place], marks[place]
        expect(row, mark, terms)
        mark.score = max(row.rise, row.fall)
        if row.run != 0:
            mark.score = row.rise if row.run > 0 else row.fall
        mark.p = p_value_of(row, mark.score, terms)


@compiled
def accumulate(row: Row, z: float, ready: bool) -> float:
    """Bring CUSUMs and the run up to date with z; the score is the larger CUSUM, 0 where not `ready`."""
    step = min(max(z, -TICK_AT_MOST), TICK_AT_MOST)
    row.rise = min(max(row.rise + step - ALLOWANCE, 0.0), SCORE_AT_MOST) if ready else 0.0
    row.fall = min(max(row.fall - step - ALLOWANCE, 0.0), SCORE_AT_MOST) if ready else 0.0
    side = 1 if z > LASTS else -1 if z < -LASTS else 0
    row.run = row.run + side if side * row.run > 0 else side
    # A sum on one side says nothing for a departure to the other.
    if side != 0:
        return float(row.rise if side > 0 else row.fall)
    return float(max(row.rise, row.fall))


@compiled
def p_value_of(row: Row, score: float, terms: Terms) -> float:
    """The p-value of a score by the pooled tail, bent to the series by its own excursions (see `calibration`)."""
    rate = (SERIES_RATE_WEIGHT * PRIOR_RATE + row.over) / (SERIES_RATE_WEIGHT + row.ticks)
    if score <= terms.threshold:
        return float(1.0 - (1.0 - rate) * score / terms.threshold)
    own = (terms.tail * SERIES_TAIL_WEIGHT + row.peak_sum) / (SERIES_TAIL_WEIGHT + row.peaks)
    # A state does not wander: its tail is the lightest there is, however noisy the other series are.
    tail = LEAST_TAIL if row.kind == _STATE else max(own, LEAST_TAIL)
    return float(max(rate * np.exp(-(score - terms.threshold) / tail), LEAST_P))


@compiled
def score(rows: Rows, marks: Marks, slots: Slots, asked: Slots, terms: Terms) -> tuple[int, int]:
    """Score each series that has a value; its mark then holds level, scale, z, score and p.

    Returns how many series false-discovery control is asked about, and how many of them have a departure that holds;
    the places of the latter stand in `asked`, shape [m]. A report ends where its departure has.
    """
    tests = holding = 0
    for place in range(len(slots)):
        row, mark = rows[slots[place]], marks[place]
        mark.tested = mark.reported = False
        if np.isnan(mark.value):
            continue
        expect(row, mark, terms)
        mark.z = (mark.value - mark.level) / mark.scale
        if row.kind == _STATE:
            mark.z = min(mark.z, 0.0)
        mark.score = accumulate(row, mark.z, row.seen >= terms.warmup // 2)
        mark.p = p_value_of(row, mark.score, terms)
        mark.tested = row.seen >= terms.warmup
        if row.reported:
            if row.run == 0:
                row.rise = row.fall = 0.0
                row.reported = False
        elif mark.tested:
            tests += 1
            if abs(row.run) >= terms.persist:
                asked[holding] = place
                holding += 1
    return tests, holding


@compiled
def learn(rows: Rows, marks: Marks, slots: Slots, healthy: Floats, terms: Terms) -> int:
    """Let each series with a value learn from it; returns how many scores of healthy ones stand in `healthy` [m].

    From its second tick on a departure is not learnt, else the forecast would follow before the CUSUM has spoken; the
    fast level goes on until the report, for series that wander. What has lasted for `adapt_after` ticks is adopted.
    """
    count = 0
    for place in range(len(slots)):
        row, mark = rows[slots[place]], marks[place]
        if np.isnan(mark.value):
            continue
        mark.reported = row.reported and mark.tested
        calm = row.seen >= terms.warmup // 2 and not row.reported
        remember(row, mark.score, calm, terms)
        if calm and row.kind != _STATE and mark.score > 0.0:
            healthy[count] = min(mark.score, terms.threshold + PEAK_AT_MOST * terms.tail)
            count += 1
        departing = mark.tested and (row.reported or abs(mark.z) > CLIP or abs(row.run) >= 2)
        row.held = row.held + 1 if departing else 0
        if row.held >= terms.adapt_after and row.kind != _STATE:
            row.slow = row.fast = mark.value
            row.seen = terms.warmup // 2
            row.rise = row.fall = row.peak = 0.0
            row.run = row.held = 0
            row.reported = False
        else:
            follow(row, mark, departing)
    return count


@compiled
def remember(row: Row, score: float, calm: bool, terms: Terms) -> None:
    """Feed the series' own tail: one peak an excursion over the threshold, anomalies apart."""
    above = score > terms.threshold
    ended = not above and row.peak > 0.0
    row.peaks *= MEMORY
    row.peak_sum *= MEMORY
    if ended:
        row.peaks += 1.0
        row.peak_sum += min(max(row.peak - terms.threshold, 0.0), PEAK_AT_MOST * terms.tail)
    row.peak = max(row.peak, score) if above else 0.0
    row.over = row.over * MEMORY + (1.0 if above and calm else 0.0)
    row.ticks = row.ticks * MEMORY + (1.0 if calm else 0.0)


@compiled
def follow(row: Row, mark: Mark, frozen: bool) -> None:
    """Move levels and errors towards the value. `frozen`: neither the slow level nor the errors."""
    limit = CLIP * mark.scale if row.seen >= CLIP_FROM else np.inf
    first = 1.0 / (row.seen + 1.0)
    # The first error that is known is that of the second value: hence `seen`, not `seen + 1`.
    gain = max(1.0 / max(row.seen, 1), ERROR_GAIN)
    slow, fast = mark.value - row.slow, mark.value - row.fast
    if not frozen:
        if abs(slow) <= limit:
            row.slow += slow * max(first, SLOW_GAIN)
        row.slow_error += ((min(abs(slow), limit) if row.seen > 0 else 0.0) - row.slow_error) * gain
        row.fast_error += ((min(abs(fast), limit) if row.seen > 0 else 0.0) - row.fast_error) * gain
    if not row.reported and abs(fast) <= limit:
        row.fast += fast * max(first, FAST_GAIN)
    row.seen = min(row.seen + 1, 2**31 - 2)
