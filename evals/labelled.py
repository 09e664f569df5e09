"""Labelled incidents with free-text remediations, read from JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from models.domain.errors import BadInput


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True)

    text: str
    command: str | None = None


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    symptoms: str
    signals: tuple[str, ...] = ()
    gold_variants: tuple[tuple[_Step, ...], ...]


class LabelledIncident(BaseModel):
    """One incident and the text of the remediation that is right for it and for no other."""

    model_config = ConfigDict(frozen=True)

    id: str
    symptoms: str
    signals: tuple[str, ...]
    remediation: str

    @property
    def query(self) -> str:
        """What a ranker may see: symptoms and signals, never the title, which names the fault."""
        return "\n".join((self.symptoms, *self.signals))


def load_labelled(file: Path) -> list[LabelledIncident]:
    """The incidents of a JSON lines file that have a remediation of their own.

    It is the first of a row's gold variants whose text (the steps, joined) stands in no other row; rows without one
    are left out. Raises BadInput with file and line.
    """
    rows = _rows(file)
    used = Counter(text for row in rows for text in {_joined(variant) for variant in row.gold_variants})
    found = []
    for row in rows:
        own = [text for text in map(_joined, row.gold_variants) if used[text] == 1]
        if own:
            found.append(
                LabelledIncident(id=row.id, symptoms=row.symptoms, signals=row.signals, remediation=own[0]),
            )
    return found


def _joined(variant: tuple[_Step, ...]) -> str:
    return " ".join(step.text.strip() for step in variant)


def _rows(file: Path) -> list[_Row]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", where=str(file)) from error
    rows = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, f"{file}:{number}")
        if row.id in seen:
            raise BadInput(f"the id {row.id!r} stands in line {seen[row.id]} already", where=f"{file}:{number}")
        seen[row.id] = number
        rows.append(row)
    return rows


def _row(line: str, where: str) -> _Row:
    try:
        value: Any = json.loads(line)
        return _Row.model_validate(value)
    except json.JSONDecodeError as error:
        raise BadInput(f"not valid JSON: {error.msg}", where=where) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the row"
        raise BadInput(f"{field}: {first['msg']}", where=where) from error
