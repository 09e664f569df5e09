"""Cursor pages: a cursor is opaque to its holder and names the row after which the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from models.domain.errors import BadInput
from service.store.identifiers import row_number

Item = TypeVar("Item")
_VERSION = "1:"

Limit = Annotated[int, Query(ge=1, le=200, description="How many items at most.")]
Cursor = Annotated[str | None, Query(max_length=100, description="`next` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


def encode_cursor(number: int) -> str:
    """The cursor of a row number."""
    return base64.urlsafe_b64encode(f"{_VERSION}{number}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int | None:
    """The row number of a cursor. Raises BadInput for what is none."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    number = row_number(text, _VERSION)
    if number is None:
        raise BadInput("this is not a cursor; pass `next` of the page before, unchanged", where="query.cursor")
    return number
