"""Functions by name: what each makes of its evaluated arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.domain.base import Labels
from service.promql import numbers
from service.promql.histogram import histogram_quantile
from service.promql.nodes import Node, Range, Selector
from service.promql.ranges import RANGE_FUNCTIONS, Reduce, regression
from service.promql.vectors import Element, Value, Vector, Window, Windows, distinct, without_name


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call being evaluated: when (unix milliseconds), its name, and its arguments as nodes and as values."""

    at: int
    name: str
    nodes: Sequence[Node]
    values: Sequence[Value]

    def scalar(self, place: int, default: float = math.nan) -> float:
        """The argument that the parser made sure is a scalar; the default where it was left out."""
        if place >= len(self.values):
            return default
        value = self.values[place]
        assert isinstance(value, float)
        return value

    def vector(self, place: int) -> Vector:
        """The argument that the parser made sure is an instant vector."""
        value = self.values[place]
        assert isinstance(value, list)
        return value

    def windows(self, place: int) -> Windows:
        """The argument that the parser made sure is a range vector."""
        value = self.values[place]
        assert isinstance(value, Windows)
        return value


Apply = Callable[[Invocation], Value]


def _mapped(call: Invocation, function: Callable[[float], float]) -> Vector:
    elements = (Element(without_name(e.labels), function(e.value), call.at) for e in call.vector(0))
    return distinct(elements, f"{call.name}()")


def _each(function: Callable[[float], np.float64]) -> Apply:
    return lambda call: _mapped(call, numbers.elementwise(function))


def _reduced(call: Invocation, windows: Windows, reduce: Reduce, keep_name: bool = False) -> Vector:
    elements = (
        Element(window.labels if keep_name else without_name(window.labels), value, call.at)
        for window in windows.series
        if (value := reduce(window, windows.start, windows.end)) is not None
    )
    return distinct(elements, f"{call.name}()")


def _over_range(reduce: Reduce) -> Apply:
    return lambda call: _reduced(call, call.windows(0), reduce, keep_name=call.name == "last_over_time")


def _quantile_over_time(call: Invocation) -> Vector:
    share = call.scalar(0)
    return _reduced(call, call.windows(1), lambda window, _start, _end: numbers.quantile(share, window.values))


def _predict_linear(call: Invocation) -> Vector:
    def ahead(window: Window, _start: int, _end: int) -> float | None:
        line = regression(window, call.at)
        return None if line is None else line[0] * call.scalar(1) + line[1]

    return _reduced(call, call.windows(0), ahead)


def _absence(call: Invocation, present: bool) -> Vector:
    return [] if present else [Element(_equalities(call.nodes[0]), 1.0, call.at)]


def _equalities(node: Node) -> Labels:
    selector = node.selector if isinstance(node, Range) else node
    return {name: value for name, value in selector.equalities if value} if isinstance(selector, Selector) else {}


def _clamped(call: Invocation, low: float, high: float) -> Vector:
    if low > high:
        return []
    return _mapped(call, lambda value: float(np.maximum(low, np.minimum(high, value))))


def _round(call: Invocation) -> Vector:
    inverse = numbers.divide(1.0, call.scalar(1, 1.0))
    return _mapped(call, lambda value: numbers.divide(float(np.floor(value * inverse + 0.5)), inverse))


def _scalar(call: Invocation) -> float:
    elements = call.vector(0)
    return elements[0].value if len(elements) == 1 else math.nan


def _timestamp(call: Invocation) -> Vector:
    # The sample's own time where the argument is a selector; a computed value has the time of the evaluation.
    return distinct((Element(without_name(e.labels), e.at / 1000, call.at) for e in call.vector(0)), "timestamp()")


def _sorted(descending: bool) -> Apply:
    sign = -1 if descending else 1
    return lambda call: sorted(call.vector(0), key=lambda e: (math.isnan(e.value), sign * e.value))


INSTANT_FUNCTIONS: dict[str, Apply] = {
    "abs": _each(np.fabs),
    "ceil": _each(np.ceil),
    "floor": _each(np.floor),
    "round": _round,
    "sqrt": _each(np.sqrt),
    "exp": _each(np.exp),
    "ln": _each(np.log),
    "log2": _each(np.log2),
    "log10": _each(np.log10),
    "sgn": _each(np.sign),
    "clamp": lambda call: _clamped(call, call.scalar(1), call.scalar(2)),
    "clamp_min": lambda call: _clamped(call, call.scalar(1), math.inf),
    "clamp_max": lambda call: _clamped(call, -math.inf, call.scalar(1)),
    "absent": lambda call: _absence(call, bool(call.vector(0))),
    "histogram_quantile": lambda call: histogram_quantile(call.scalar(0), call.vector(1), call.at),
    "scalar": _scalar,
    "vector": lambda call: [Element({}, call.scalar(0), call.at)],
    "time": lambda call: call.at / 1000,
    "timestamp": _timestamp,
    "sort": _sorted(descending=False),
    "sort_desc": _sorted(descending=True),
}

FUNCTIONS: dict[str, Apply] = {
    **{name: _over_range(reduce) for name, reduce in RANGE_FUNCTIONS.items()},
    "quantile_over_time": _quantile_over_time,
    "predict_linear": _predict_linear,
    "absent_over_time": lambda call: _absence(call, bool(call.windows(0).series)),
    **INSTANT_FUNCTIONS,
}
