"""OTLP in JSON: walking through what a sender wrote, each place with its path, and reading attributes.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from models.domain.errors import BadInput


def each(items: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Path and item of a list. Raises BadInput where it is none."""
    if not isinstance(items, list):
        raise BadInput("write a list", where=path)
    return ((f"{path}[{place}]", item) for place, item in enumerate(items))


def member(holder: Any, name: str) -> Any:
    """A member of an object; None where it has none, or is no object."""
    return holder.get(name) if isinstance(holder, dict) else None


def attributes(holder: Any) -> dict[str, Any]:
    """The `attributes` of an object, by key."""
    given = member(holder, "attributes")
    pairs = given if isinstance(given, list) else []
    return {str(pair["key"]): plain(pair.get("value")) for pair in pairs if isinstance(pair, dict) and "key" in pair}


def plain(given: Any) -> Any:
    """An AnyValue as a text, where it is one or can be written as one."""
    if not isinstance(given, dict) or len(given) != 1:
        return given
    value = next(iter(given.values()))
    return value if isinstance(value, str) else json.dumps(value)
