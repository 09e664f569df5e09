"""Renders the strings of arguments and checks: a small part of Jinja2, on scalar values only.

A template may hold text and expressions over parameters: names, literals, comparisons, `and`/`or`/`not`, `x if y else
z`, `+ - * /`, `~` and a few filters. Statements, calls, attributes and indexing are refused before anything runs, so
the ways out of a template sandbox are not there to be closed. Method: an allow-list over Jinja2's own syntax tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.sandbox import ImmutableSandboxedEnvironment

Scalar = str | int | float | bool
MAX_SOURCE = 8_192
MAX_OUTPUT = 16_384
"""Characters. Both are far above any argument or query that a person writes."""
MAX_DEPTH = 50
"""Expressions within expressions: compiling one recurses."""
MAX_PLACES = 15
"""Of `round`: as many as a double has. Python counts 10**places out, which can take all memory."""
_LARGEST = 10**18
"""Of whole numbers, as for parameters. Python refuses to write out those of more than 4,300 digits."""

_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter, nodes.Compare),
    *(nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Concat),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Neg, nodes.Pos),
)
# Not `int` and `float`: they turn what is no number into 0. Parameters have types for that.
_FILTERS = frozenset({"lower", "upper", "trim", "round", "abs", "string", "length", "urlencode"})


class BadTemplate(ValueError):
    """A template that cannot be used, or cannot be rendered with these values. The message is for a person."""


@lru_cache(maxsize=4_096)
def names_of(source: str) -> frozenset[str]:
    """The parameters that a template uses. Raises BadTemplate where the template itself cannot be used."""
    return frozenset(node.name for node in _parse(source).find_all(nodes.Name))


def render_value(value: Any, parameters: Mapping[str, Scalar]) -> Any:
    """`value` with every string in it rendered; lists and mappings are walked, keys stay as they are.

    A string that is exactly one expression keeps its type: `{{ replicas }}` stays an integer. A list's element may not
    become a text that begins with `-` unless it is written so: a program would read it as an option.
    Raises BadTemplate.
    """
    if isinstance(value, str):
        return render(value, parameters)
    if isinstance(value, Mapping):
        return {key: render_value(item, parameters) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_element(item, parameters) for item in value]
    return value


def _element(source: Any, parameters: Mapping[str, Scalar]) -> Any:
    value = render_value(source, parameters)
    if isinstance(value, str) and value.startswith("-") and not source.startswith("-"):
        raise BadTemplate(f"{source!r} becomes {value!r}, which a program would read as an option")
    return value


def render(source: str, parameters: Mapping[str, Scalar]) -> Scalar:
    """One string; the type of the value where it is exactly one expression. Raises BadTemplate."""
    parts = [piece if isinstance(piece, str) else evaluate(piece, parameters) for piece in pieces(source)]
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0]
    return bounded("".join(as_text(part) for part in parts))


def render_url(source: str, parameters: Mapping[str, Scalar]) -> str:
    """A URL in which text values are percent-encoded, so that one stays within its part of it. Raises BadTemplate.

    A template that is exactly one expression is a URL as a whole and stays as it is.
    """
    parsed = pieces(source)
    if len(parsed) == 1:
        return bounded(as_text(render(source, parameters)))
    return bounded("".join(p if isinstance(p, str) else _url_part(evaluate(p, parameters)) for p in parsed))


def _url_part(value: Scalar) -> str:
    text = as_text(value)
    if text in (".", ".."):
        raise BadTemplate(f"the value {text!r} would leave its place in the URL")
    return quote(text, safe="")


@lru_cache(maxsize=2048)
def pieces(source: str) -> tuple[str | TemplateExpression, ...]:
    """A template as literal texts and expressions, in order. Raises BadTemplate."""
    found: list[str | TemplateExpression] = []
    for output in _parse(source).find_all(nodes.Output):
        for node in output.nodes:
            found.append(node.data if isinstance(node, nodes.TemplateData) else _expression(node))
    return tuple(found)


def evaluate(expression: TemplateExpression, parameters: Mapping[str, Scalar]) -> Scalar:
    """The value of one expression of `pieces`. Raises BadTemplate."""
    try:
        value = expression(dict(parameters))
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise BadTemplate(str(error) or type(error).__name__) from error
    if not isinstance(value, str | int | float | bool):
        raise BadTemplate(f"an expression gives {type(value).__name__}, not text, a number or a boolean")
    if not isinstance(value, str) and not abs(value) < _LARGEST:
        raise BadTemplate("an expression gives a number that is too large, or none")
    return bounded(value) if isinstance(value, str) else value


def as_text(value: Scalar) -> str:
    """A value within text: booleans in JSON's spelling."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def bounded(text: str) -> str:
    """The text. Raises BadTemplate where it is longer than MAX_OUTPUT."""
    if len(text) > MAX_OUTPUT:
        raise BadTemplate(f"the rendered text is longer than {MAX_OUTPUT} characters")
    return text


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "+"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Numbers only: text times a number is a way to fill the memory, and text is joined with `~`."""
        if not all(isinstance(side, int | float) for side in (left, right)):
            raise BadTemplate(f"{operator} takes numbers; use ~ to join text")
        return super().call_binop(context, operator, left, right)


def _round(value: float, places: int = 0) -> float:
    if not isinstance(places, int) or not 0 <= places <= MAX_PLACES:
        raise BadTemplate(f"round takes a number of places from 0 to {MAX_PLACES}")
    return round(value, places)


def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.globals.clear()
    environment.filters["round"] = _round
    return environment


_ENVIRONMENT = _environment()


@lru_cache(maxsize=2048)
def _parse(source: str) -> nodes.Template:
    if len(source) > MAX_SOURCE:
        raise BadTemplate(f"the template is longer than {MAX_SOURCE} characters")
    try:
        tree = _ENVIRONMENT.parse(source)
    except TemplateError as error:
        raise BadTemplate(f"not a template: {error}") from error
    except RecursionError as error:
        raise BadTemplate("the template is nested too deeply") from error
    except ValueError as error:  # of a number with thousands of digits
        raise BadTemplate(f"not a template: {error}") from error
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]
        if depth > MAX_DEPTH:
            raise BadTemplate("the template is nested too deeply")
        if not isinstance(node, _NODES):
            raise BadTemplate(f"{type(node).__name__.lower()} is not allowed in a template; only parameters are there")
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise BadTemplate(f"there is no filter {node.name!r}; there are {', '.join(sorted(_FILTERS))}")
    return tree


def _expression(node: nodes.Expr) -> TemplateExpression:
    # The same that Environment.compile_expression builds, from a node in place of text.
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store", lineno=1), node, lineno=1)]
    return TemplateExpression(_ENVIRONMENT.from_string(nodes.Template(body, lineno=1)), undefined_to_none=False)
