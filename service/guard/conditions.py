"""A Cedar condition that does not hold, in words: what is, and what the policy asks for."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import cedarpy

from service.guard.policy_schema import Request, rounded

_ASKS = {
    "==": "{}",
    "!=": "anything but {}",
    "<": "less than {}",
    "<=": "at most {}",
    ">": "more than {}",
    ">=": "at least {}",
}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_DECIMALS = {"lessThan": "<", "lessThanOrEqual": "<=", "greaterThan": ">", "greaterThanOrEqual": ">="}
_NEEDLESS = re.compile(r"(?<!\w)\(((?:context|resource)(?:\.\w+)+)\)")
"""Parentheses that Cedar writes around each attribute."""
_LEAST_PLACES = Decimal("0.01")


def told(kind: str, body: dict[str, Any], policy: str, request: Request) -> str:
    """One condition (`when`, or `unless`: its opposite) of a policy that does not hold for the request."""
    wanted = kind == "when"
    while body.keys() == {"!"}:
        body, wanted = body["!"]["arg"], not wanted
    said = _known(body, wanted, request)
    if said is None:
        text = _cedar(body)
        return f"policy {policy} asks for `{text if wanted else f'!({text})'}`"
    label, actual, asked = said
    return f"{label} {actual}, policy {policy} asks for {asked}"


def about(body: dict[str, Any], request: Request) -> str | None:
    """The one attribute that a condition is about; None where it is not about one alone."""
    while body.keys() == {"!"}:
        body = body["!"]["arg"]
    said = _known(body, True, request)
    return said and said[0]


def _known(body: dict[str, Any], wanted: bool, request: Request) -> tuple[str, str, str] | None:
    """Label, actual value and what is asked for; None for a condition that has no simpler words than its own."""
    operator, of = next(iter(body.items()))
    if operator == ".":
        path = _path(body)
        return None if path is None else (_label(path), _shown(path, request), "true" if wanted else "false")
    if operator == "has":
        path = _path({".": of})
        return None if path is None else (_label(path), "is not known" if wanted else "is known", _having(wanted))
    if operator == "contains":
        path, choices = _path(of["right"]), _literals(of["left"])
        if path is None or choices is None:
            return None
        return _label(path), _shown(path, request), f"{'one' if wanted else 'none'} of {', '.join(choices)}"
    return _comparison(operator, of, wanted, request)


def _comparison(operator: str, of: Any, wanted: bool, request: Request) -> tuple[str, str, str] | None:
    if operator in _DECIMALS:
        operator, left, right = _DECIMALS[operator], of[0], of[1]
    elif operator in _ASKS:
        left, right = of["left"], of["right"]
    else:
        return None
    path, value = _path(left), _literal(right)
    if path is None:
        path, value, operator = _path(right), _literal(left), _MIRRORED.get(operator, operator)
    if path is None or value is None:
        return None
    return _label(path), _shown(path, request), _ASKS[operator if wanted else _OPPOSITE[operator]].format(value)


def _having(wanted: bool) -> str:
    return "one that is" if wanted else "one that is not"


def _path(expression: Any) -> tuple[str, ...] | None:
    """`context.a.b` and `resource.a` as their parts."""
    if not isinstance(expression, dict):
        return None
    if expression.get("Var") in ("context", "resource"):
        return (expression["Var"],)
    if "." in expression:
        base = _path(expression["."]["left"])
        return None if base is None else (*base, expression["."]["attr"])
    return None


def _label(path: tuple[str, ...]) -> str:
    return " ".join(path[1:]).replace("_", " ")


def _shown(path: tuple[str, ...], request: Request) -> str:
    value: Any = request.context
    if path[0] == "resource":
        value = {"service": request.service, "environment": request.environment}
    for part in path[1:]:
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return "is not known"
    return _number(rounded(path[-1], value)) if isinstance(value, float) else _plain(value)


def _literal(expression: Any) -> str | None:
    if not isinstance(expression, dict):
        return None
    if "Value" in expression:
        value = expression["Value"]
        return None if isinstance(value, dict) else _plain(value)
    for function in ("decimal", "datetime", "duration"):
        if function in expression:
            inner = expression[function][0].get("Value")
            return None if inner is None else _number(Decimal(inner)) if function == "decimal" else str(inner)
    return None


def _literals(expression: Any) -> list[str] | None:
    found = [_literal(each) for each in expression.get("Set", [])] if isinstance(expression, dict) else []
    known = [each for each in found if each is not None]
    return known if known and len(known) == len(found) else None


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if str(value) else "empty"


def _number(value: Decimal) -> str:
    """At least two places, no more than it has."""
    shortest = value.normalize()
    return str(shortest.quantize(_LEAST_PLACES) if shortest == shortest.quantize(_LEAST_PLACES) else f"{shortest:f}")


def _cedar(body: dict[str, Any]) -> str:
    everything = {"op": "All"}
    scope = {"effect": "permit", "principal": everything, "action": everything, "resource": everything}
    form = {**scope, "conditions": [{"kind": "when", "body": body}]}
    document = {"templates": {}, "staticPolicies": {"policy0": form}, "templateLinks": []}
    text = cedarpy.policies_from_json_str(json.dumps(document))
    inside = " ".join(text[text.index("{") + 1 : text.rindex("}")].split())
    return _NEEDLESS.sub(r"\1", inside)
