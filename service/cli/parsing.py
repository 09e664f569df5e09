"""Reads values of options whose types would cost time to import at the start."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from models.domain.errors import BadInput

Choice = TypeVar("Choice", bound=StrEnum)


def one_of(choices: type[Choice], text: str, option: str) -> Choice:
    """The member that `text` names. Raises BadInput with the members."""
    try:
        return choices(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is none of {', '.join(choices)}", where=option) from error
