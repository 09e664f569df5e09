"""Values that come from an incident, and what the settings say that they must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.domain.base import Frozen
from service.executors.arguments import refused

Scalar = str | int | float | bool
ScalarType = Literal["string", "integer", "number", "boolean"]
VariableName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]

_PYTHON: dict[ScalarType, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_LONGEST = 1000
"""Characters of a text."""


class TypedValue(Frozen):
    """What a value must be that comes from an incident. A text needs a `pattern` (matched as a whole) or an `enum`."""

    type: ScalarType = "string"
    default: Scalar | None = None
    pattern: str | None = None
    enum: tuple[Scalar, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.type == "string" and self.pattern is None and self.enum is None:
            raise ValueError("a string needs a pattern or an enum")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"pattern is not a regular expression: {error}") from error
        if self.default is not None and (problem := self.problem(self.default)):
            raise ValueError(f"default {problem}")
        return self

    def problem(self, value: object) -> str | None:
        """What is wrong with a value, without the value; None where nothing is."""
        if not isinstance(value, _PYTHON[self.type]) or (isinstance(value, bool) and self.type != "boolean"):
            return f"is not of type {self.type}"
        if self.enum is not None and value not in self.enum:
            return "is none of its enum"
        if isinstance(value, str):
            fits = len(value) <= _LONGEST and "\0" not in value and re.fullmatch(self.pattern or "(?s:.*)", value)
            return None if fits else "does not match its pattern"
        # Written so that NaN, which compares with nothing, is refused.
        low, high = self.minimum, self.maximum
        inside = (low is None or value >= low) and (high is None or value <= high) and value == value  # type: ignore[operator]  # noqa: PLR0124
        return None if inside else "is below its minimum or above its maximum"


def read_values(types: Mapping[str, TypedValue], given: Mapping[str, Any], word: str) -> dict[str, Scalar]:
    """The value of each, defaults filled in. `word` is what they are called, for example `parameter`.

    Raises ExecutorError where one is missing, unknown or does not fit; its words do not hold the value.
    """
    if unknown := ", ".join(sorted(given.keys() - types.keys())):
        raise refused(f"there is no {word} {unknown}")
    values: dict[str, Scalar] = {}
    for name, wanted in types.items():
        value = given.get(name, wanted.default)
        if value is None:
            raise refused(f"{word} {name} is missing")
        if problem := wanted.problem(value):
            raise refused(f"{word} {name} {problem}")
        values[name] = value
    return values
