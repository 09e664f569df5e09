"""Templates of operations, and CEL over answers: what is sent, and what an answer means.

The modules behind both are imported where they are used: CEL takes a quarter of a second to load.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from service.executors.arguments import refused
from service.executors.http_connection import Answer

Scalar = str | int | float | bool

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_FIELDS = frozenset({"status", "headers", "body", "request"})


class NoAnswer(ValueError):
    """An expression that has no usable value on this answer, with the reason."""


def check_expression(source: str) -> str:
    """`source`, for a field validator. Raises ValueError where it is not CEL over `response`."""
    from runbooks.expressions import check

    check(source, "response", _FIELDS)
    return source


def check_template(value: Any, known: frozenset[str]) -> None:
    """Raises ValueError where a template anywhere in `value` cannot be used, or reads what is not in `known`."""
    from runbooks.templates import names_of

    if isinstance(value, str):
        if unknown := names_of(value) - known:
            raise ValueError(f"{value!r} reads {', '.join(sorted(unknown))}, which is not among its parameters")
    elif isinstance(value, Mapping):
        for item in value.values():
            check_template(item, known)
    elif isinstance(value, list | tuple):
        for item in value:
            check_template(item, known)


def rendered(value: Any, parameters: Mapping[str, Scalar]) -> Any:
    """A template of data with its values in it. Raises ExecutorError."""
    from runbooks.templates import BadTemplate, render_value

    try:
        return render_value(value, parameters)
    except BadTemplate as error:
        raise refused(str(error)) from error


def rendered_path(template: str, parameters: Mapping[str, Scalar]) -> str:
    """A path in which each value is percent-encoded, and stays within its segment. Raises ValueError."""
    from runbooks.templates import render_url

    if not template.startswith("/") or any(mark in template for mark in "?#\\") or not template.isascii():
        raise ValueError("path: must begin with / and hold no ?, no #, no \\ and ASCII only")
    path = render_url(template, parameters)
    if "//" in path or path.endswith("/") != template.endswith("/"):
        raise ValueError(f"path: a segment of {template} is empty")
    if climbs(path):
        raise ValueError("path: must not climb: it holds . or .. as a part")
    if not _PATH.fullmatch(path):
        raise ValueError(f"path: {template} holds a character that a path cannot")
    return path


def climbs(path: str) -> bool:
    """Whether a part of the path is `.` or `..`, at any depth of %-escapes: some servers decode twice."""
    layer, decoded = path, unquote(path)
    while layer != decoded:
        layer, decoded = decoded, unquote(decoded)
    return any(part in (".", "..") for part in layer.replace("\\", "/").split("/"))


def response_variable(answer: Answer, text: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as expressions see it. `body` is what the JSON says; a text that is no JSON stays a text."""
    try:
        body = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        body = text
    return {"status": answer.status, "headers": dict(answer.headers), "body": body, "request": dict(request)}


def truth(source: str, response: Mapping[str, Any]) -> bool:
    """Whether the expression holds. Raises NoAnswer where it has no value, or one that is no boolean."""
    value = _value(source, response)
    if not isinstance(value, bool):
        raise NoAnswer(f"{source} is {type(value).__name__}, not true or false")
    return value


def values(sources: Mapping[str, str], response: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each expression, as JSON. Raises NoAnswer where one has none."""
    return {name: _as_json(source, _value(source, response)) for name, source in sources.items()}


def _value(source: str, response: Mapping[str, Any]) -> Any:
    from runbooks.expressions import NoValue, Variables, value_of

    try:
        return value_of(source, Variables(response=response))
    except NoValue as error:
        raise NoAnswer(f"{source} has no value: {error}") from error


def _as_json(source: str, value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise NoAnswer(f"{source} has a value that is not JSON") from error


def _no_constant(name: str) -> float:
    # JSON has none of NaN and Infinity (RFC 8259 section 6), though Python reads them.
    raise ValueError(f"{name} is not JSON")
