"""Reads files of labelled incidents, with errors that name the line and the path in the row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.incidents.format import LabelledIncident
from models.domain.errors import BadInput
from service.json_input import parse_json, read_model


def load_incidents(path: Path) -> tuple[LabelledIncident, ...]:
    """All labelled incidents of a JSON lines file. Raises BadInput with file and line, also for an id used twice."""
    rows: list[LabelledIncident] = []
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        row = read_row(parse_line(line, f"{path}:{number}"), f"{path}:{number}")
        if row.id in seen:
            raise BadInput(f"the id {row.id!r} stands in line {seen[row.id]} already", where=f"{path}:{number}")
        seen[row.id] = number
        rows.append(row)
    if not rows:
        raise BadInput("the file holds no incident", where=str(path))
    return tuple(rows)


def topology_beside(path: Path) -> Path | None:
    """`incidents.topology.yaml` beside `incidents.jsonl`, where it is: what was recorded with a file of incidents."""
    beside = path.with_suffix(".topology.yaml")
    return beside if beside.is_file() else None


def parse_line(line: str, where: str) -> Any:
    """The JSON value of one line. Raises BadInput with file and line."""
    try:
        return parse_json(line, where=where)
    except BadInput as error:
        # The parser counts lines within the text, which is one line of the file.
        raise BadInput(error.problem, where=where) from error


def read_row(value: Any, where: str) -> LabelledIncident:
    """One labelled incident from its JSON value. Raises BadInput with `where` and the path in the row."""
    try:
        return read_model(LabelledIncident, value)
    except BadInput as error:
        raise BadInput(error.problem, where=f"{where} {error.where}") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInput("is not UTF-8 text", where=f"{path}:{number + 1}") from error
