"""Arithmetic on floats as IEEE 754 and Prometheus do it: never an exception, sums exact before rounding.

Callers run under `numpy.errstate(all="ignore")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np


def divide(left: float, right: float) -> float:
    """`left / right`; by zero it is infinite, or NaN for 0 / 0."""
    return float(np.float64(left) / np.float64(right))


def modulo(left: float, right: float) -> float:
    """The remainder with the sign of `left`."""
    return float(np.fmod(left, right))


def power(left: float, right: float) -> float:
    """`left ** right`; NaN where it is not real."""
    return float(np.power(np.float64(left), np.float64(right)))


def total(values: Sequence[float]) -> float:
    """The sum, with one rounding where all values are finite."""
    try:
        return math.fsum(values)
    except (ValueError, OverflowError):  # +Inf and -Inf together, or a partial sum beyond the largest float
        return float(np.sum(np.asarray(values, dtype=np.float64)))


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of one value or more; does not overflow where the mean itself does not."""
    summed = total(values)
    if math.isinf(summed) and all(map(math.isfinite, values)):
        return total([value / len(values) for value in values])
    return summed / len(values)


def variance(values: Sequence[float]) -> float:
    """The population variance of one value or more."""
    middle = mean(values)
    return total([(value - middle) * (value - middle) for value in values]) / len(values)


def deviation(values: Sequence[float]) -> float:
    """The population standard deviation of one value or more."""
    return math.sqrt(variance(values))


def smallest(values: Sequence[float]) -> float:
    """The minimum; NaN only where all values are."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def largest(values: Sequence[float]) -> float:
    """The maximum; NaN only where all values are."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def quantile(share: float, values: Sequence[float]) -> float:
    """The `share` quantile, interpolated between the two nearest ranks; NaN counts as the smallest value.

    A share below 0 gives -Inf, above 1 +Inf, as Prometheus documents for `quantile_over_time`.
    """
    if not values or math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    weight = rank - low
    return ordered[low] * (1 - weight) + ordered[high] * weight


def elementwise(function: Callable[[float], np.float64]) -> Callable[[float], float]:
    """A numpy function as one on Python floats."""
    return lambda value: float(function(np.float64(value)))
