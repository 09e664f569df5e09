"""Reading JSON that somebody else wrote, with errors that name the place: line and column, or a JSON path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from models.domain.errors import BadInput
from service.plain_words import words_of

Model = TypeVar("Model", bound=BaseModel)


class Problem(TypedDict):
    """One thing that is wrong, and where."""

    path: str
    problem: str


def json_path(parts: Sequence[object], root: str = "$") -> str:
    """`("signals", 0, "name")` as `$.signals[0].name`."""
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def position(text: str, offset: int) -> str:
    """`line 3, column 7` of a character offset."""
    before = text[:offset]
    return f"line {before.count(chr(10)) + 1}, column {offset - before.rfind(chr(10))}"


def parse_json(text: str, *, where: str) -> Any:
    """The value of a JSON text. Raises BadInput; `where` names the file or stream."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        words = f"not valid JSON: {error.msg} at column {error.colno}"
        raise BadInput(words, where=f"{where}:{error.lineno}") from error
    except (RecursionError, ValueError) as error:
        raise BadInput(f"not valid JSON: {error}", where=where) from error


def problems_of(error: ValidationError, root: str = "$") -> list[Problem]:
    """Each problem of a validation with its JSON path below `root`; without the values, which may be secrets."""
    return [
        Problem(path=json_path(item["loc"], root), problem=words_of(item))
        for item in error.errors(include_input=False, include_url=False)
    ]


def read_model(model: type[Model], value: Any, *, root: str = "$") -> Model:
    """`value` as `model`. Raises BadInput with the first problem's path; the other problems follow in the words."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first, *others = problems_of(error, root)
        words = "; ".join([first["problem"], *(f"{other['path']}: {other['problem']}" for other in others)])
        raise BadInput(words, where=first["path"]) from error
