"""Text to nodes: parses PromQL and refuses, by name, what the embedded evaluation does not support."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any, NoReturn

import promql_parser as ast

from models.domain.errors import BadInput
from runbooks.queries import oversized
from service.promql.aggregation import AGGREGATIONS
from service.promql.functions import FUNCTIONS
from service.promql.matchers import predicate
from service.promql.nodes import (
    Aggregate,
    Binary,
    Function,
    Grouping,
    Many,
    Matching,
    Negation,
    Node,
    Number,
    Range,
    Selector,
)
from service.promql.operators import OPERATORS

MAX_DEPTH = 100
"""Of the nodes that a parsed expression has."""


@lru_cache(maxsize=1024)
def parse(expression: str) -> Node:
    """The expression as nodes. Raises BadInput with the parser's words, or naming the part that is not supported."""
    if problem := oversized(expression):
        raise BadInput(f"PromQL: an expression cannot be taken: {problem}; split it")
    try:
        parsed = ast.parse(expression)
    except ValueError as error:
        raise BadInput(f"PromQL {_short(expression)}: {' '.join(str(error).split())}") from error
    return _node(parsed, MAX_DEPTH)


def _too_deep() -> NoReturn:
    raise BadInput(f"PromQL: an expression nested more than {MAX_DEPTH} deep; split it")


def _short(expression: str) -> str:
    return repr(expression if len(expression) <= 200 else expression[:200] + "…")


def _unsupported(part: str, expression: Any = None) -> NoReturn:
    where = f" in {_short(expression.prettify())}" if expression is not None else ""
    raise BadInput(f"PromQL: {part}{where} is not supported by the embedded source; ask a Prometheus server for it")


def _node(parsed: Any, depth: int) -> Node:  # noqa: PLR0911, C901 — one line for each kind of node
    if depth == 0:
        _too_deep()
    match parsed:
        case ast.ParenExpr():
            return _node(parsed.expr, depth - 1)
        case ast.NumberLiteral():
            return Number(parsed.val)
        case ast.VectorSelector():
            return _selector(parsed)
        case ast.MatrixSelector():
            return Range(_selector(parsed.vector_selector), _milliseconds(parsed.range))
        case ast.Call():
            return _call(parsed, depth)
        case ast.AggregateExpr():
            return _aggregate(parsed, depth)
        case ast.UnaryExpr():
            return Negation(_node(parsed.expr, depth - 1))
        case ast.BinaryExpr():
            return _binary(parsed, depth)
        case ast.SubqueryExpr():
            _unsupported("a subquery", parsed)
        case ast.StringLiteral():
            _unsupported(f"the string {parsed.val!r} as a value")
        case _:
            _unsupported(type(parsed).__name__, parsed)


def _selector(parsed: ast.VectorSelector) -> Selector:
    if parsed.at is not None:
        _unsupported("the @ modifier", parsed)
    if parsed.matchers.or_matchers:
        _unsupported("`or` between matchers", parsed)
    matchers = list(parsed.matchers.matchers)
    if parsed.name is not None:
        matchers.append(ast.Matcher(ast.MatchOp.Equal, "__name__", parsed.name))
    equal = [(matcher.name, matcher.value) for matcher in matchers if matcher.op == ast.MatchOp.Equal]
    names = [matcher.name for matcher in matchers]
    return Selector(
        metric=dict(equal).get("__name__"),
        equalities=tuple(pair for pair in equal if pair[0] != "__name__" and names.count(pair[0]) == 1),
        offset=_milliseconds(parsed.offset or timedelta(0)),
        matches=predicate(matchers),
    )


def _call(parsed: ast.Call, depth: int) -> Function:
    name = parsed.func.name
    if name not in FUNCTIONS:
        _unsupported(f"the function {name}()")
    return Function(name, tuple(_node(argument, depth - 1) for argument in parsed.args))


def _aggregate(parsed: ast.AggregateExpr, depth: int) -> Aggregate:
    operator = str(parsed.op)
    if operator not in AGGREGATIONS:
        _unsupported(f"the aggregation {operator}()")
    modifier = parsed.modifier
    grouping = (
        Grouping()
        if modifier is None
        else Grouping(frozenset(modifier.labels), without=modifier.type == ast.AggModifierType.Without)
    )
    parameter = None if parsed.param is None else _node(parsed.param, depth - 1)
    return Aggregate(operator, _node(parsed.expr, depth - 1), grouping, parameter)


def _binary(parsed: ast.BinaryExpr, depth: int) -> Binary:
    operator = str(parsed.op)
    if operator not in OPERATORS:
        _unsupported(f"the operator {operator}")
    left, right = _node(parsed.lhs, depth - 1), _node(parsed.rhs, depth - 1)
    modifier = parsed.modifier
    if modifier is None:
        return Binary(operator, left, right, boolean=False, matching=Matching())
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        _unsupported("the fill modifier")
    labels = modifier.matching
    matching = Matching(
        on=labels is not None and labels.type == ast.LabelModifierType.Include,
        labels=frozenset(labels.labels if labels is not None else ()),
        many=_many(modifier.card),
        include=tuple(modifier.group_labels or ()),
    )
    return Binary(operator, left, right, boolean=modifier.return_bool, matching=matching)


def _many(cardinality: ast.VectorMatchCardinality) -> Many:
    if cardinality == ast.VectorMatchCardinality.ManyToOne:
        return Many.LEFT
    return Many.RIGHT if cardinality == ast.VectorMatchCardinality.OneToMany else Many.NEITHER


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
