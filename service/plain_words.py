"""What pydantic says of a wrong value, in words that need no Python."""

from __future__ import annotations

from typing import Any

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such key",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "string_type": "must be a text in quotes",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "datetime_from_date_parsing": "must be a time such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be a time such as 2026-01-31T12:00:00Z",
    "timezone_aware": "must have a time zone, such as the Z of 2026-01-31T12:00:00Z",
    "string_too_short": "must not be empty",
}
"""By the type of the error. https://docs.pydantic.dev/latest/errors/validation_errors/"""


def words_of(item: Any) -> str:
    """One of the errors of a ValidationError, without its place and without the value, which may be a secret."""
    known = _WORDS.get(item["type"])
    if known is not None:
        return known
    words = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "must")
    return words.replace("datetime.timedelta(0)", "0s")
