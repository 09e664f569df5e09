"""Quantiles of classic histograms, estimated from their buckets."""

from __future__ import annotations

import math
from collections import defaultdict

from service.promql.numbers import divide
from service.promql.vectors import Element, Vector, without_name


def histogram_quantile(share: float, buckets: Vector, at: int) -> Vector:
    """The `share` quantile of each histogram, interpolated within its bucket.

    `buckets` are series with the label `le`, cumulative; what has none that is a number is left out.
    Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    groups: dict[frozenset[tuple[str, str]], dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for element in buckets:
        try:
            bound = float(element.labels["le"])
        except (KeyError, ValueError):
            continue
        labels = without_name(element.labels)
        del labels["le"]
        groups[frozenset(labels.items())][bound] += element.value
    return [Element(dict(key), _quantile(share, sorted(counts.items())), at) for key, counts in groups.items()]


def _quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    if math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    bounds, counts = [bound for bound, _ in buckets], _rising([count for _, count in buckets])
    if len(buckets) < 2 or bounds[-1] != math.inf or counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = share * counts[-1]
    found = next((place for place, count in enumerate(counts[:-1]) if count >= rank), len(counts) - 1)
    if found == len(counts) - 1:
        return bounds[-2]
    if found == 0 and bounds[0] <= 0:
        return bounds[0]
    below, start = (counts[found - 1], bounds[found - 1]) if found else (0.0, 0.0)
    return start + (bounds[found] - start) * divide(rank - below, counts[found] - below)


def _rising(counts: list[float]) -> list[float]:
    # Buckets that were scraped or rated apart may fall by a little; a cumulative count cannot.
    highest = -math.inf
    rising = []
    for count in counts:
        highest = max(highest, count)
        rising.append(highest)
    return rising
