"""The loop of the deep tier, one sample of each series at a time.

For each aspect of a series (the value, means of 3 and 18, the change between means of 48) the distance of its newest
value to the nearest neighbour in the whole past is its novelty (distance-based outliers: Knorr and Ng 1998). Its
surprise is how rarely such a distance was seen: the rank among past distances, and above their 90 % quantile the
predictive tail of an exponential whose mean was estimated from those above (a Lomax; Pickands 1975 for the exponential
limit). The largest surprise of the aspects counts. It is an onset where it exceeds all of the last 100 samples,
lowered by what the series itself announced lately.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.detection.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPANS = (1, 3, 18, 48)
"""Samples that each aspect is the mean of; the last is a change: the mean of 48 less that of the 48 before."""
WINDOW = 96
MEMORY = 100
"""Samples whose surprise is remembered."""
LEAST_SEEN = 100
"""Distances before there is a surprise: ten above the quantile."""
DEPENDENCE = 0.25
"""Neighbouring distances above the quantile come in runs: so much of their number counts as independent."""
FORGET = 1.0 - 1.0 / 3000.0
"""Of a series' burden, a sample."""
LEAST_ONSET = 1.0


class Tuning(NamedTuple):
    """What `evals.detection_crossvalidation` chooses among. The defaults are what it chose on all files."""

    quantile: float = 0.9
    """Of past distances; those above give the tail."""
    burden: float = 0.2
    """Surprise, in powers of ten, that each onset of the last while costs the next one of its series."""
    memory: int = 100
    """Samples whose surprise an onset must exceed, MEMORY at most."""
    aspects: int = 0b1111
    """Which aspects are looked at, one bit each."""


# Columns of what a step says.
SURPRISE, ONSET, ASPECT, VALUE, NEAREST, USUAL = range(6)


@compiled
def step(rows: Ints, values: Floats, state: tuple[Any, ...], tuning: Tuning, said: Floats) -> None:
    """Take values, shape [n], of the series `rows` into the state, and say of each what `said` [n, 6] has columns for.

    The arrays of the state: `state.STEPPED`. An aspect that cannot be told yet says a surprise of 0.
    """
    window, seen, past, held, distances, kept, recent, burden = state
    for n in range(len(rows)):
        row = rows[n]
        count = seen[row]
        # Each sample stands twice: the newest WINDOW are then one stretch, wherever it ends.
        window[row, count % WINDOW] = window[row, count % WINDOW + WINDOW] = values[n]
        seen[row] = count + 1
        said[n] = 0.0
        said[n, ASPECT] = -1.0
        for aspect in range(len(SPANS)):
            if count + 1 < (WINDOW if aspect == 3 else SPANS[aspect]):
                break
            if not (tuning.aspects >> aspect) & 1:
                continue
            value = _aspect(window[row], count % WINDOW + WINDOW + 1, aspect)
            distance, nearest = _put(past[row, aspect], held[row], aspect, value)
            if distance < 0.0:
                continue
            surprise, usual = _surprise(distances[row, aspect], kept[row, aspect], distance, tuning.quantile)
            _keep(distances[row, aspect], kept[row, aspect], distance)
            if surprise > said[n, SURPRISE]:
                said[n, SURPRISE] = surprise
                said[n, ASPECT] = aspect
                said[n, VALUE] = value
                said[n, NEAREST] = nearest
                said[n, USUAL] = usual
        said[n, ONSET] = _onset(recent[row], burden[row], count, said[n, SURPRISE], tuning)


@compiled
def _aspect(window: Floats, end: int, aspect: int) -> float:
    """The newest value of an aspect; the samples end before `end`."""
    span = SPANS[aspect]
    total = float(window[end - span : end].sum())
    if aspect == 3:
        total -= float(window[end - 2 * span : end - span].sum())
    return total / span


@compiled
def _put(past: Floats, held: Ints, aspect: int, value: float) -> tuple[float, float]:
    """The distance to the nearest of the past and that value, -1 without a past; the value is then part of it."""
    count = held[aspect]
    place = np.searchsorted(past[:count], value)
    distance, nearest = -1.0, value
    if place < count:
        distance, nearest = past[place] - value, past[place]
    if place > 0 and (distance < 0.0 or value - past[place - 1] < distance):
        distance, nearest = value - past[place - 1], past[place - 1]
    if distance == 0.0:
        return distance, nearest
    if count == len(past):
        count = _thin(past)
        place = np.searchsorted(past[:count], value)
    for at in range(count, place, -1):
        past[at] = past[at - 1]
    past[place] = value
    held[aspect] = count + 1
    return distance, nearest


@compiled
def _thin(past: Floats) -> int:
    """Drop a quarter of the values, those that are nearest to their neighbours; how many are left.

    Nearness is told beside the distance from the middle, so that a long tail does not cost the body its detail, and no
    two neighbours go at once: what was once far away stays known.
    """
    count = len(past)
    middle = past[count // 2]
    body = past[(3 * count) // 4] - past[count // 4]
    nearness = np.empty(count)
    nearness[0] = nearness[count - 1] = np.inf
    for at in range(1, count - 1):
        nearness[at] = (past[at + 1] - past[at - 1]) / (body + abs(past[at] - middle) + 1e-300)
    dropped = np.zeros(count, dtype=np.bool_)
    left = count // 4
    for at in np.argsort(nearness):
        if left == 0 or nearness[at] == np.inf:
            break
        if not dropped[at - 1] and not dropped[at + 1]:
            dropped[at] = True
            left -= 1
    to = 0
    for at in range(count):
        if not dropped[at]:
            past[to] = past[at]
            to += 1
    return to


@compiled
def _surprise(distances: Floats, kept: Ints, distance: float, quantile: float) -> tuple[float, float]:
    """How many powers of ten a distance is rarer than any, and the quantile of the distances."""
    count = kept[0]
    if count * kept[1] < LEAST_SEEN:
        return 0.0, 0.0
    first = int(quantile * count)
    usual = distances[first]
    if distance <= usual:
        rank = np.searchsorted(distances[:count], distance)
        return -np.log10((count - rank + 1.0) / (count + 1.0)), usual
    excess = 0.0
    for at in range(first, count):
        excess += distances[at] - usual
    mean = max(excess / (count - first), 1e-300)
    independent = DEPENDENCE * (count - first) * kept[1]
    tail = independent * np.log10(1.0 + (distance - usual) / (independent * mean))
    return tail - np.log10(1.0 - quantile), usual


@compiled
def _keep(distances: Floats, kept: Ints, distance: float) -> None:
    """Keep every `kept[1]`th distance, in order; where there is no room, every second is dropped and half are kept."""
    kept[2] += 1
    if kept[2] < kept[1]:
        return
    kept[2] = 0
    count = kept[0]
    if count == len(distances):
        for at in range(count // 2):
            distances[at] = distances[2 * at + 1]
        count //= 2
        kept[1] *= 2
    place = np.searchsorted(distances[:count], distance)
    for at in range(count, place, -1):
        distances[at] = distances[at - 1]
    distances[place] = distance
    kept[0] = count + 1


@compiled
def _onset(recent: Floats, burden: Floats, count: int, surprise: float, tuning: Tuning) -> float:
    """The surprise of an onset less the series' burden; 0 where it is none."""
    highest = 0.0
    for back in range(1, tuning.memory + 1):
        highest = max(highest, recent[(count - back) % MEMORY])
    recent[count % MEMORY] = surprise
    burden[0] *= FORGET
    value = float(surprise - tuning.burden * burden[0])
    if surprise <= highest or value <= LEAST_ONSET:
        return 0.0
    burden[0] += 1.0
    return value
