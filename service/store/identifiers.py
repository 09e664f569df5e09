"""Identifiers that people see: a prefix and the number of a row."""

from __future__ import annotations

from models.domain.errors import NotFound

_DIGITS_AT_MOST = 18
"""More digits than a row number has would overflow in the database."""


def row_number(identifier: str, prefix: str) -> int | None:
    """The number in `<prefix><number>`; None where it is not of that form."""
    digits = identifier.removeprefix(prefix)
    if digits == identifier or not digits.isdecimal() or len(digits) > _DIGITS_AT_MOST:
        return None
    return int(digits)


def number_of(identifier: str, prefix: str, noun: str, named: str = "they are named") -> int:
    """The same. Raises NotFound where it is not of that form: there is no such `noun`."""
    number = row_number(identifier, prefix)
    if number is None:
        raise NotFound(f"there is no {noun} {identifier!r}; {named} {prefix}<number>")
    return number
