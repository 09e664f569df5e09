"""Functions over the samples of a range: each takes one series' window and gives a number, or None for no result.

Definitions: https://prometheus.io/docs/prometheus/latest/querying/functions/ ; the extrapolation of `rate`,
`increase` and `delta` follows `extrapolatedRate` of Prometheus 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from service.promql import numbers
from service.promql.vectors import Window

Reduce = Callable[[Window, int, int], float | None]
"""(window, start, end of the range in unix milliseconds) → value."""


def _extrapolated(window: Window, start: int, end: int, *, counter: bool) -> float | None:
    """The growth over the whole range, guessed from its samples.

    Growth goes on to an end of the range when the first (last) sample is within 1.1 average intervals of it, else by
    half an interval; a counter is not carried back to before it would have been zero.
    """
    times, values = window.times, window.values
    if len(values) < 2 or times[0] == times[-1]:
        return None
    growth = values[-1] - values[0]
    if counter:
        growth += numbers.total([before for before, after in pairwise(values) if after < before])
    sampled = (times[-1] - times[0]) / 1000
    interval = sampled / (len(values) - 1)
    to_start, to_end = (times[0] - start) / 1000, (end - times[-1]) / 1000
    if to_start >= interval * 1.1:
        to_start = interval / 2
    if counter and growth > 0 and values[0] >= 0:
        to_start = min(to_start, numbers.divide(sampled * values[0], growth))
    if to_end >= interval * 1.1:
        to_end = interval / 2
    return growth * ((sampled + to_start + to_end) / sampled)


def _delta(window: Window, start: int, end: int) -> float | None:
    return _extrapolated(window, start, end, counter=False)


def _increase(window: Window, start: int, end: int) -> float | None:
    return _extrapolated(window, start, end, counter=True)


def _rate(window: Window, start: int, end: int) -> float | None:
    increase = _increase(window, start, end)
    return None if increase is None else increase / ((end - start) / 1000)


def _idelta(window: Window, _start: int, _end: int) -> float | None:
    return None if len(window.values) < 2 else window.values[-1] - window.values[-2]


def _irate(window: Window, _start: int, _end: int) -> float | None:
    if len(window.values) < 2:
        return None
    before, last = window.values[-2:]
    grown = last if last < before else last - before
    return numbers.divide(grown, (window.times[-1] - window.times[-2]) / 1000)


def regression(window: Window, origin: int) -> tuple[float, float] | None:
    """(slope a second, value at `origin`) of the least-squares line; None below two samples."""
    values = window.values
    if len(values) < 2:
        return None
    if all(value == values[0] for value in values):
        return (math.nan, math.nan) if math.isinf(values[0]) else (0.0, values[0])
    seconds = [(at - origin) / 1000 for at in window.times]
    middle, level = numbers.mean(seconds), numbers.mean(values)
    spread = numbers.total([(x - middle) * (x - middle) for x in seconds])
    shared = numbers.total([(x - middle) * (y - level) for x, y in zip(seconds, values, strict=True)])
    slope = numbers.divide(shared, spread)
    return slope, level - slope * middle


def _deriv(window: Window, _start: int, _end: int) -> float | None:
    line = regression(window, window.times[0])
    return None if line is None else line[0]


def _changes(window: Window, _start: int, _end: int) -> float:
    return float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairwise(window.values)))


def _resets(window: Window, _start: int, _end: int) -> float:
    return float(sum(after < before for before, after in pairwise(window.values)))


def _over_time(function: Callable[[list[float]], float]) -> Reduce:
    return lambda window, _start, _end: function(window.values)


RANGE_FUNCTIONS: dict[str, Reduce] = {
    "rate": _rate,
    "increase": _increase,
    "irate": _irate,
    "delta": _delta,
    "idelta": _idelta,
    "deriv": _deriv,
    "changes": _changes,
    "resets": _resets,
    "avg_over_time": _over_time(numbers.mean),
    "min_over_time": _over_time(numbers.smallest),
    "max_over_time": _over_time(numbers.largest),
    "sum_over_time": _over_time(numbers.total),
    "count_over_time": _over_time(lambda values: float(len(values))),
    "last_over_time": _over_time(lambda values: values[-1]),
    "stddev_over_time": _over_time(numbers.deviation),
    "stdvar_over_time": _over_time(numbers.variance),
    "present_over_time": _over_time(lambda _values: 1.0),
}
