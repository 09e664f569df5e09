"""What commands print: JSON or aligned tables on standard output, everything else on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import typer


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


def shown(value: object) -> str:
    """A value as one line for a terminal: titles come from outside, and could hold escape sequences."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def note(text: str) -> None:
    """Say something that is not part of the answer."""
    typer.echo(text, err=True)
