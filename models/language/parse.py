"""From what a model wrote to the parts of an answer. Nothing is believed yet."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

MAX_ANSWER = 100_000
"""Characters. A longer answer is not an answer."""
MAX_STARTS = 50
"""Opening braces that are tried: prose in front of the object is short."""
MAX_DEPTH = 50
"""Brackets open at once in an answer that is followed while it is written; the schema needs five."""

# Blanks of the line alone: with `\s*` an answer of nothing but line ends took a minute.
_FENCED = re.compile(r"```(?:json)?[^\S\n]*\n(.*?)```", re.DOTALL)

Part = TypeVar("Part", bound=BaseModel)


class Unparsable(ValueError):
    """The answer holds no JSON object; the message says what it holds."""


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in a model's answer: bare, in a code fence, or with prose around it.

    Raises Unparsable.
    """
    if not text.strip():
        raise Unparsable("the answer is empty")
    if len(text) > MAX_ANSWER:
        raise Unparsable(f"the answer has {len(text)} characters, more than {MAX_ANSWER}")
    for piece in (text, *_FENCED.findall(text)):
        found = _object_at(piece.strip(), 0)
        if found is not None:
            return found
    starts = (match.start() for match in re.finditer(r"\{", text))
    for _, start in zip(range(MAX_STARTS), starts, strict=False):
        found = _object_at(text, start)
        # An object inside a broken one is not the answer: it must have one of the fields that were asked for.
        if found is not None and found.keys() & {"order", "candidates", "advice", "lower_trust"}:
            return found
    raise Unparsable("the answer holds no complete JSON object")


def parse_beginning(text: str) -> dict[str, Any]:
    """What is complete in an answer that was cut off: up to the last object that ended, with the open ones closed.

    Raises Unparsable where it is empty or no object in it ended.
    """
    if not text.strip():
        raise Unparsable("the answer is empty")
    start = text.find("{")
    if start < 0 or len(text) > MAX_ANSWER:
        raise Unparsable("the answer holds no complete JSON object")
    brackets = Brackets()
    ended, closing = 0, ""
    for place, character in enumerate(text[start:], start=start + 1):
        if brackets.follow(character):
            ended, closing = place, brackets.closing
        if brackets.too_deep:
            break
    found = _object_at(text[start:ended] + closing, 0) if ended else None
    if found is None:
        raise Unparsable("the answer holds no complete JSON object")
    return found


class Brackets:
    """The brackets that are open in JSON that is still being written."""

    def __init__(self) -> None:
        self.open = ""
        """Innermost last."""
        self._quoted = False
        self._escaped = False

    def follow(self, character: str) -> bool:
        """Take one more character; whether it ends an object."""
        if self._quoted:
            self._quoted = self._escaped or character != '"'
            self._escaped = character == "\\" and not self._escaped
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self.open += character
        elif character in "}]":
            self.open = self.open[:-1]
            return character == "}"
        return False

    @property
    def too_deep(self) -> bool:
        """Whether more are open than any answer needs."""
        return len(self.open) > MAX_DEPTH

    @property
    def closing(self) -> str:
        """What would close them all."""
        return "".join("}" if bracket == "{" else "]" for bracket in reversed(self.open))


def parts_of(value: object, kind: type[Part]) -> tuple[list[Part], int]:
    """The valid items of a list, and how many were not valid. A value that is no list counts as one bad item."""
    if value is None:
        return [], 0
    if not isinstance(value, list):
        return [], 1
    found: list[Part] = []
    for item in value:
        try:
            # Through JSON, so that lists may fill tuples while strings stay strings.
            found.append(kind.model_validate_json(json.dumps(item)))
        except ValidationError:
            continue
    return found, len(value) - len(found)


def _object_at(text: str, start: int) -> dict[str, Any] | None:
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
