"""Operators between two sides: scalars, vectors, and vectors matched by their labels.

Matching rules: https://prometheus.io/docs/prometheus/latest/querying/operators/#vector-matching
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from models.domain.base import Labels
from models.domain.errors import BadInput
from service.promql import numbers
from service.promql.nodes import Binary, Many, Matching
from service.promql.vectors import Element, Vector, identity, without_name

_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": numbers.divide,
    "%": numbers.modulo,
    "^": numbers.power,
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SETS = ("and", "or", "unless")

OPERATORS = (*_ARITHMETIC, *_COMPARISONS, *_SETS)

_Key = frozenset[tuple[str, str]]


def combine(node: Binary, left: float | Vector, right: float | Vector, at: int) -> float | Vector:
    """The operator applied to both sides. Raises BadInput where series do not match one-to-one as they must."""
    if isinstance(left, list) and isinstance(right, list):
        if node.operator in _SETS:
            return _set_operation(node, left, right)
        return _matched(node, left, right, at)
    if isinstance(left, list):
        assert not isinstance(right, list)
        return [found for e in left if (found := _with_scalar(node, e, e.value, right, at)) is not None]
    if isinstance(right, list):
        return [found for e in right if (found := _with_scalar(node, e, left, e.value, at)) is not None]
    if node.operator in _ARITHMETIC:
        return _ARITHMETIC[node.operator](left, right)
    return float(_COMPARISONS[node.operator](left, right))


def _with_scalar(node: Binary, element: Element, left: float, right: float, at: int) -> Element | None:
    if node.operator in _ARITHMETIC:
        return Element(without_name(element.labels), _ARITHMETIC[node.operator](left, right), at)
    holds = _COMPARISONS[node.operator](left, right)
    if node.boolean:
        return Element(without_name(element.labels), float(holds), at)
    return Element(element.labels, element.value, at) if holds else None


def _match_key(labels: Labels, matching: Matching) -> _Key:
    if matching.on:
        return frozenset((name, labels[name]) for name in matching.labels if name in labels)
    return frozenset(pair for pair in labels.items() if pair[0] not in matching.labels and pair[0] != "__name__")


def _set_operation(node: Binary, left: Vector, right: Vector) -> Vector:
    if node.operator == "or":
        present = {_match_key(element.labels, node.matching) for element in left}
        return left + [element for element in right if _match_key(element.labels, node.matching) not in present]
    wanted = node.operator == "and"
    present = {_match_key(element.labels, node.matching) for element in right}
    return [element for element in left if (_match_key(element.labels, node.matching) in present) is wanted]


def _matched(node: Binary, left: Vector, right: Vector, at: int) -> Vector:
    """One element for each match; the "many" side is walked, the "one" side looked up."""
    swapped = node.matching.many is Many.RIGHT
    many, one = (right, left) if swapped else (left, right)
    partners = _unique(one, node.matching, "left" if swapped else "right")
    results: list[Element] = []
    seen: set[tuple[_Key, _Key]] = set()
    for element in many:
        key = _match_key(element.labels, node.matching)
        if key not in partners:
            continue
        partner = partners[key]
        sides = (partner.value, element.value) if swapped else (element.value, partner.value)
        value = _value(node, *sides)
        if value is None:
            continue
        labels = _result_labels(node, element.labels, partner.labels)
        place = (key, frozenset() if node.matching.many is Many.NEITHER else identity(labels))
        if place in seen:
            raise BadInput(_several(node, element.labels))
        seen.add(place)
        results.append(Element(labels, value, at))
    return results


def _unique(elements: Vector, matching: Matching, side: str) -> dict[_Key, Element]:
    found: dict[_Key, Element] = {}
    for element in elements:
        key = _match_key(element.labels, matching)
        if key in found:
            raise BadInput(
                f"PromQL: two series on the {side} side belong to the same match group {dict(key)}: "
                f"{found[key].labels} and {element.labels}; aggregate that side first, or match on more labels"
            )
        found[key] = element
    return found


def _several(node: Binary, labels: Labels) -> str:
    if node.matching.many is Many.NEITHER:
        return (
            f"PromQL: several series on the left of `{node.operator}` match one on the right, {labels} among them; "
            "say so with group_left or group_right"
        )
    return f"PromQL: grouping labels of `{node.operator}` do not tell matches apart; {labels} comes twice"


def _value(node: Binary, left: float, right: float) -> float | None:
    if node.operator in _ARITHMETIC:
        return _ARITHMETIC[node.operator](left, right)
    holds = _COMPARISONS[node.operator](left, right)
    if node.boolean:
        return float(holds)
    return left if holds else None


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    labels = without_name(many) if node.operator in _ARITHMETIC or node.boolean else dict(many)
    if matching.many is Many.NEITHER:
        labels = {name: value for name, value in labels.items() if (name in matching.labels) is matching.on}
    for name in matching.include:
        labels.pop(name, None)
        if one.get(name):
            labels[name] = one[name]
    return labels
