"""What commands print: JSON or aligned tables on standard output, everything else on standard error."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import typer

_WIDEST = 110
"""Columns beyond which a text is no easier to read."""
_UNWRAPPED = 1_000_000


def print_json(value: Any) -> None:
    """Print JSON; domain objects in it are written by their own rules."""
    import json

    from pydantic import BaseModel

    def plain(item: object) -> object:
        if isinstance(item, BaseModel):
            return item.model_dump(mode="json", by_alias=True)
        raise TypeError(f"{type(item).__name__} is not JSON")

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=plain))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns, unwrapped, so that `grep` and `cut` work on them."""
    cells = [[column.upper() for column in columns], *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def wrapped(text: object, lead: str = "") -> list[str]:
    """A text as wide as the terminal, further lines under the first one's; one line where the output is no terminal.

    Words are never broken: a query stays one that can be copied.
    """
    columns = shutil.get_terminal_size((_UNWRAPPED, 24)).columns
    width = columns if columns == _UNWRAPPED else min(columns, _WIDEST)
    return textwrap.wrap(
        " ".join(shown(text).split()),
        width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def timeline(entries: Iterable[tuple[datetime, str, str]]) -> Iterator[str]:
    """Entries of (time, kind, text) in time order, wrapped to the terminal, each day under its date."""
    ordered = sorted(entries, key=lambda entry: entry[0])
    wide = max((len(kind) for _, kind, _ in ordered), default=0)
    day = ""
    for at, kind, text in ordered:
        if f"{at:%F}" != day:
            day = f"{at:%F}"
            yield f"\n{day} (UTC)"
        lead = f"{at:%T}  {kind:<{wide}}  "
        yield from wrapped(text or "-", lead)


def counted(number: int, word: str) -> str:
    """`1 document`, `2 documents`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def shown(value: object) -> str:
    """A value as one line for a terminal: titles come from outside, and could hold escape sequences."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def note(text: str) -> None:
    """Say something that is not part of the answer."""
    typer.echo(text, err=True)
