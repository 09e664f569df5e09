"""Reads an export row by row: CSV with a header, or JSON lines. Values are text, or lists of it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.domain.errors import BadInput
from service.json_input import parse_json

Form = Literal["csv", "jsonl"]
MAX_FIELD = 1 << 30
"""Characters of one CSV field: what is too long is told with its row later, not by the parser."""


@dataclass(frozen=True)
class ExportRow:
    """One row: `where` is file and line; for CSV, the line on which the row begins."""

    where: str
    values: Mapping[str, Any]
    """By column; a column that the header repeats has a list."""
    columns: frozenset[str] | None
    """All columns of the file; None for JSON lines, where each row has its own."""

    def get(self, name: str) -> Any:
        """The value of a column, or of a dotted path into JSON (`service.summary`, `assignments.0.id`).

        Raises BadInput for a column that the header does not have. A part that a JSON row lacks is None.
        """
        if name in self.values:
            return self.values[name]
        if self.columns is not None:
            known = ", ".join(sorted(self.columns))
            raise BadInput(f"there is no column {name!r}; the header has {known}", where=self.where)
        value: Any = self.values
        for part in name.split("."):
            if isinstance(value, list) and part.isdecimal():
                value = value[int(part)] if int(part) < len(value) else None
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        return value


def form_of(path: Path) -> Form:
    """By the name's ending. Raises BadInput for another."""
    endings: dict[str, Form] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    if path.suffix.lower() not in endings:
        raise BadInput("its name ends neither in .csv nor in .jsonl; say `format:` in the map", where=str(path))
    return endings[path.suffix.lower()]


def read_export(path: Path, form: Form, delimiter: str = ",", encoding: str = "utf-8-sig") -> Iterator[ExportRow]:
    """The rows. Raises BadInput with file and line for what is not of the form, and for a file without rows."""
    text = _text(path, encoding)
    rows = _csv(text, path, delimiter) if form == "csv" else _jsonl(text, path)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise BadInput("the file holds no row", where=str(path))


def _text(path: Path, encoding: str) -> str:
    try:
        return path.read_bytes().decode(encoding)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        words = f"is not {encoding} text (byte {error.start}); say `encoding:` in the map, for example cp1252"
        raise BadInput(words, where=str(path)) from error


def _csv(text: str, path: Path, delimiter: str) -> Iterator[ExportRow]:
    allowed = csv.field_size_limit(MAX_FIELD)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = [name.strip() for name in next(reader, [])]
        columns = frozenset(header)
        while True:
            where = f"{path}:{reader.line_num + 1}"
            cells = _next(reader, where)
            if cells is None:
                return
            if not cells:
                continue
            if len(cells) != len(header):
                raise BadInput(f"{len(cells)} fields, and the header has {len(header)} columns", where=where)
            yield ExportRow(where, _joined(header, cells), columns)
    finally:
        csv.field_size_limit(allowed)


def _next(reader: Any, where: str) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise BadInput(f"not valid CSV: {error}", where=where) from error


def _joined(header: list[str], cells: list[str]) -> dict[str, Any]:
    """Cells by column. Jira repeats a column for each label or component: those become one list."""
    found: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if header.count(name) > 1:
            found.setdefault(name, []).extend([cell] if cell.strip() else [])
        else:
            found[name] = cell
    return found


def _jsonl(text: str, path: Path) -> Iterator[ExportRow]:
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = parse_json(line, where=where)
        except BadInput as error:
            raise BadInput(error.problem, where=where) from error
        if not isinstance(value, dict):
            raise BadInput(f"not a JSON object but {type(value).__name__}", where=where)
        yield ExportRow(where, value, None)


def as_text(value: Any) -> str:
    """A cell as text: lists joined by commas, objects as JSON, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(filter(None, map(as_text, value)))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
