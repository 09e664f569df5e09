"""The expressions of a map file: a column, a template, or a column with a value map, a time format, and so on."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, model_validator

from evals.exports.table import ExportRow, as_text
from models.domain.base import Frozen
from models.domain.errors import BadInput

_PLACE = re.compile(r"\{\{\s*(.+?)\s*\}\}")


class Expression(Frozen):
    """How one field is made of a row. In a map file a bare text is `from`."""

    from_: str | tuple[str, ...] = Field(default=(), alias="from")
    """A column (a dotted path in JSON), or a text with `{{ column }}` in it; of several, the first with a value."""
    text: str | None = None
    """The same for every row, in place of `from`."""
    map: dict[str, str | None] | None = None
    """Values of the export to ours, without regard to case; null leaves the field empty. One that is not listed is an
    error, unless there is a default."""
    default: str | None = None
    """Where the value is empty or not listed."""
    split: str | None = None
    """Cuts a text into a list at this separator."""
    match: str | None = None
    """A regular expression: its first group, or all of it, is the value; nothing where it is not found."""
    cut: int | None = Field(default=None, ge=1)
    """Keeps this many characters."""
    time: str | None = None
    """How the time is written: `iso`, `unix`, `unix_ms`, or a format of strptime such as `%d/%b/%y %I:%M %p`."""
    zone: str = "UTC"
    """Where a time without an offset is meant."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.text is None) == (not self.from_):
            raise ValueError("needs either from or text")
        if self.match is not None:
            try:
                re.compile(self.match)
            except re.error as error:
                raise ValueError(f"match is no regular expression: {error}") from error
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"there is no time zone {self.zone!r}; write for example Europe/Berlin") from error
        return self

    def value(self, row: ExportRow, field: str) -> str:
        """The field's text, empty where there is none. Raises BadInput with the row."""
        found = self.text if self.text is not None else self._read(row)
        if self.match is not None:
            hit = re.search(self.match, found)
            found = (hit[1] if hit.re.groups else hit[0]) or "" if hit else ""
        if self.map is not None and found:
            found = self._mapped(found, row, field)
        found = found or self.default or ""
        return found[: self.cut] if self.cut else found

    def values(self, row: ExportRow, field: str) -> list[str]:
        """The field as a list: the parts of a text that is split, and each part of a list."""
        if self.split is None and isinstance(self.from_, str) and not _PLACE.search(self.from_):
            raw = row.get(self.from_)
            if isinstance(raw, list):
                return [one for one in map(as_text, raw) if one]
        found = self.value(row, field)
        parts = found.split(self.split) if self.split else [found]
        return [part.strip() for part in parts if part.strip()]

    def moment(self, row: ExportRow, field: str) -> datetime | None:
        """The field as a time; None where it is empty. Raises BadInput with the row."""
        found = self.value(row, field)
        if not found:
            return None
        try:
            return self._moment(found)
        except (ValueError, OverflowError, OSError) as error:
            written = self.time or "iso"
            raise BadInput(f"{field}: {found!r} is not a time written as {written}", where=row.where) from error

    def _moment(self, text: str) -> datetime:
        if self.time in ("unix", "unix_ms"):
            return datetime.fromtimestamp(float(text) / (1000 if self.time == "unix_ms" else 1), UTC)
        iso = self.time in (None, "iso")
        found = datetime.fromisoformat(text) if iso else datetime.strptime(text, self.time or "")
        return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(self.zone))

    def _read(self, row: ExportRow) -> str:
        names = (self.from_,) if isinstance(self.from_, str) else self.from_
        found = ""
        for name in names:
            if _PLACE.search(name):
                found = _PLACE.sub(lambda place: as_text(row.get(place[1])), name).strip()
            else:
                found = as_text(row.get(name))
            if found:
                break
        return found

    def _mapped(self, found: str, row: ExportRow, field: str) -> str:
        known = {key.casefold(): value for key, value in (self.map or {}).items()}
        if found.casefold() in known:
            return known[found.casefold()] or ""
        if self.default is not None:
            return self.default
        words = f"{field}: the map has no value for {found[:80]!r}; add it under `map:`, or give a `default:`"
        raise BadInput(words, where=row.where)


def _spelled(value: Any) -> Any:
    return {"from": value} if isinstance(value, str | list) else value


Spelled = Annotated[Expression, BeforeValidator(_spelled)]
"""An expression that may be written as a bare text or list."""
