"""Aggregations: many series of an instant vector into one a group."""

from __future__ import annotations

import math
from collections.abc import Callable

from models.domain.base import Labels
from models.domain.errors import BadInput
from service.promql import numbers
from service.promql.nodes import Grouping
from service.promql.vectors import Element, Vector

_REDUCTIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": numbers.total,
    "avg": numbers.mean,
    "min": numbers.smallest,
    "max": numbers.largest,
    "count": lambda values: float(len(values)),
    "stddev": numbers.deviation,
    "stdvar": numbers.variance,
    "group": lambda _values: 1.0,
}

AGGREGATIONS = (*_REDUCTIONS, "quantile", "topk", "bottomk")


def aggregate(operator: str, elements: Vector, grouping: Grouping, parameter: float, at: int) -> Vector:
    """One element a group; for topk and bottomk, up to `parameter` whole series a group, best first."""
    groups: dict[frozenset[tuple[str, str]], Vector] = {}
    for element in elements:
        groups.setdefault(frozenset(_kept(element.labels, grouping).items()), []).append(element)
    if operator in ("topk", "bottomk"):
        count = _count(operator, parameter)
        return [chosen for group in groups.values() for chosen in _extreme(group, count, operator == "topk")]
    results = []
    for key, group in groups.items():
        values = [element.value for element in group]
        value = numbers.quantile(parameter, values) if operator == "quantile" else _REDUCTIONS[operator](values)
        results.append(Element(dict(key), value, at))
    return results


def _kept(labels: Labels, grouping: Grouping) -> Labels:
    if grouping.without:
        return {name: value for name, value in labels.items() if name not in grouping.labels and name != "__name__"}
    return {name: value for name, value in labels.items() if name in grouping.labels}


def _count(operator: str, parameter: float) -> int:
    if not math.isfinite(parameter):
        raise BadInput(f"PromQL: {operator}() of {parameter} series; write a whole number")
    return max(0, int(parameter))


def _extreme(group: Vector, count: int, largest: bool) -> Vector:
    # NaN comes last either way; of equals, the first stays first.
    sign = -1 if largest else 1
    return sorted(group, key=lambda element: (math.isnan(element.value), sign * element.value))[:count]
