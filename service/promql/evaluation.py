"""Evaluates PromQL over the embedded samples, at one instant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from models.domain.errors import BadInput
from models.domain.signal import Sample
from service.ports import SampleReader
from service.promql.aggregation import aggregate
from service.promql.functions import FUNCTIONS, Invocation
from service.promql.nodes import Aggregate, Binary, Function, Negation, Node, Number, Range, Selector
from service.promql.operators import combine
from service.promql.parsing import parse
from service.promql.vectors import Element, Value, Vector, Window, Windows, distinct, without_name

LOOKBACK = timedelta(minutes=5)
"""An instant selector finds a series whose last sample is younger than this: Prometheus's default."""

MAX_SAMPLES = 5_000_000
"""Samples that one expression may read, about 400 MB of Python numbers."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def evaluate(expression: str, reader: SampleReader, at: datetime) -> list[Sample]:
    """The instant vector of a PromQL expression; a scalar is one sample without labels.

    Ranges and the lookback leave out their oldest instant, as Prometheus 3 does. Raises BadInput where the
    expression does not parse, uses what is not supported (docs/telemetry.md), matches several series where one must
    be, or reads too many samples; Unavailable where the samples cannot be read.
    """
    node = parse(expression)
    with np.errstate(all="ignore"):
        # Rounded as the store rounds the times of samples, so that one taken at `at` is seen at `at`.
        value = _Evaluation(reader, round(at.timestamp() * 1000)).value(node)
    if isinstance(value, Windows):
        raise BadInput(
            "PromQL: a range of samples is no answer; put it into a function such as rate() or avg_over_time()"
        )
    if isinstance(value, float):
        return [Sample(labels={}, at=at, value=value)]
    return [Sample(labels=element.labels, at=at, value=element.value) for element in value]


class _Evaluation:
    """One evaluation: where samples are read, when (unix milliseconds), and how many more may be."""

    def __init__(self, reader: SampleReader, at: int) -> None:
        self._reader = reader
        self._at = at
        self._left = MAX_SAMPLES

    def value(self, node: Node) -> Value:  # noqa: PLR0911 — one return for each kind of node
        match node:
            case Number():
                return node.value
            case Selector():
                return self._instant(node)
            case Range():
                end = self._at - node.selector.offset
                start = end - node.length
                return Windows(start, end, list(self._windows(node.selector, start, end)))
            case Function():
                values = [self.value(argument) for argument in node.arguments]
                return FUNCTIONS[node.name](Invocation(self._at, node.name, node.arguments, values))
            case Aggregate():
                parameter = math.nan if node.parameter is None else self._scalar(node.parameter)
                return aggregate(node.operator, self._vector(node.operand), node.grouping, parameter, self._at)
            case Binary():
                left, right = self._comparable(node.left), self._comparable(node.right)
                return combine(node, left, right, self._at)
            case Negation():
                return self._negated(self._comparable(node.operand))

    def _instant(self, selector: Selector) -> Vector:
        end = self._at - selector.offset
        windows = self._windows(selector, end - LOOKBACK // _MILLISECOND, end)
        return [Element(window.labels, window.values[-1], window.times[-1]) for window in windows]

    def _windows(self, selector: Selector, start: int, end: int) -> Iterator[Window]:
        first, last = (_EPOCH + moment * _MILLISECOND for moment in (start + 1, end))
        for labels, points in self._reader.select(selector.matches, first, last, selector.metric):
            self._left -= len(points)
            if self._left < 0:
                raise BadInput(f"PromQL: the expression reads over {MAX_SAMPLES:,} samples; narrow its selectors")
            if points:
                yield Window(labels, [round(at * 1000) for at, _ in points], [value for _, value in points])

    def _negated(self, operand: float | Vector) -> float | Vector:
        if isinstance(operand, float):
            return -operand
        return distinct((Element(without_name(e.labels), -e.value, self._at) for e in operand), "unary minus")

    def _scalar(self, node: Node) -> float:
        value = self.value(node)
        assert isinstance(value, float)  # the parser has checked types
        return value

    def _vector(self, node: Node) -> Vector:
        value = self.value(node)
        assert isinstance(value, list)
        return value

    def _comparable(self, node: Node) -> float | Vector:
        value = self.value(node)
        assert not isinstance(value, Windows)
        return value
