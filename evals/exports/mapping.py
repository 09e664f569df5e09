"""A map file: which columns of an export make which fields of a labelled incident."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from evals.exports.expressions import Expression, Spelled
from evals.exports.table import ExportRow, Form, form_of, read_export
from evals.incidents.format import LabelledIncident
from evals.incidents.loading import read_row
from models.domain.base import Frozen
from models.domain.errors import BadInput
from service.yaml_input import read_yaml


def _constant(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


class SignalMap(Frozen):
    """One signal that is made of each row; left out where its name is empty."""

    kind: Annotated[Expression, BeforeValidator(_constant)]
    """A bare text is the kind itself: alert, ticket, …"""
    name: Spelled
    text: Spelled | None = None
    metric: Spelled | None = None
    labels: dict[str, Spelled] = Field(default_factory=dict)
    at: Spelled | None = None


class GoldMap(Frozen):
    """Where the truth stands in the export."""

    runbook: Spelled | None = None
    action: Spelled | None = None
    remediation: Spelled | None = None
    culprit: Spelled | None = None


class Condition(Frozen):
    """Rows of which a field says something: `from` is one of `is`, without regard to case; or matches `matches`."""

    from_: str = Field(alias="from")
    is_: tuple[str, ...] = Field(default=(), alias="is")
    matches: str | None = None

    def holds(self, row: ExportRow) -> bool:
        """Whether the row is one of them."""
        found = Expression.model_validate({"from": self.from_}).value(row, "condition")
        if found.casefold() in {one.casefold() for one in self.is_}:
            return True
        return bool(self.matches and re.search(self.matches, found, re.IGNORECASE))


class ExportMap(Frozen):
    """A map file."""

    format: Form | None = None
    """Without it, by the file's ending."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8-sig"
    source: str = ""
    """Kept with each incident."""
    only: Condition | None = None
    """Other rows are left out, and counted."""
    id: Spelled
    title: Spelled
    description: Spelled | None = None
    severity: Spelled | None = None
    environment: Spelled | None = None
    services: Spelled | None = None
    labels: dict[str, Spelled] = Field(default_factory=dict)
    started_at: Spelled | None = None
    detected_at: Spelled | None = None
    resolved_at: Spelled | None = None
    signals: tuple[SignalMap, ...] = ()
    gold: GoldMap
    nothing_fits: Condition | None = None
    """Rows for which abstaining is right: closed as noise, as a duplicate of nothing, as not reproducible."""


@dataclass(frozen=True)
class Mapped:
    """What became of an export."""

    rows: tuple[LabelledIncident, ...]
    others: int
    """Left out by `only`."""
    unknown: tuple[str, ...]
    """Ids of rows whose truth the export does not tell: left out."""


def load_map(path: Path) -> ExportMap:
    """The map. Raises BadInput with file and line."""
    file = read_yaml(path)
    try:
        return ExportMap.model_validate(file.values)
    except ValidationError as error:
        raise file.bad_input(error) from error


def map_export(export: Path, using: ExportMap) -> Mapped:
    """Every row of the export as a labelled incident. Raises BadInput with file and line of the first wrong one."""
    rows: list[LabelledIncident] = []
    unknown: list[str] = []
    seen: dict[str, str] = {}
    others = 0
    for row in read_export(export, using.format or form_of(export), using.delimiter, using.encoding):
        if using.only is not None and not using.only.holds(row):
            others += 1
            continue
        made = _incident(row, using)
        name = made.get("id", "")
        if name in seen:
            raise BadInput(f"the id {name!r} stands at {seen[name]} already", where=row.where)
        seen[name] = row.where
        if made["gold"] == {}:
            unknown.append(name)
            continue
        rows.append(read_row(made, row.where))
    if not rows:
        words = "no row is left: none has a truth" if unknown else "no row is left: `only` holds for none"
        raise BadInput(words, where=str(export))
    return Mapped(tuple(rows), others, tuple(unknown))


def _incident(row: ExportRow, using: ExportMap) -> dict[str, Any]:
    made: dict[str, Any] = dict(_texts(row, using, ("id", "title", "description", "severity", "environment")))
    made |= _times(row, using, ("started_at", "detected_at", "resolved_at"))
    if using.services is not None:
        made["services"] = using.services.values(row, "services")
    made["labels"] = _labels(row, using.labels, "labels")
    made["signals"] = [one for each in using.signals if (one := _signal(row, each))]
    made["source"] = using.source
    nothing = using.nothing_fits is not None and using.nothing_fits.holds(row)
    made["gold"] = None if nothing else dict(_texts(row, using.gold, tuple(GoldMap.model_fields), "gold."))
    return made


def _signal(row: ExportRow, using: SignalMap) -> dict[str, Any]:
    made: dict[str, Any] = dict(_texts(row, using, ("kind", "name", "text", "metric"), "signal."))
    if "name" not in made:
        return {}
    return made | _times(row, using, ("at",)) | {"labels": _labels(row, using.labels, "signal.labels")}


def _labels(row: ExportRow, using: dict[str, Expression], where: str) -> dict[str, str]:
    found = {name: each.value(row, f"{where}.{name}") for name, each in using.items()}
    return {name: value for name, value in found.items() if value}


def _texts(row: ExportRow, using: Frozen, names: tuple[str, ...], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name in names:
        each = getattr(using, name)
        if each is not None and (value := each.value(row, f"{prefix}{name}")):
            yield name, value


def _times(row: ExportRow, using: Frozen, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        each = getattr(using, name)
        moment = each.moment(row, name) if each is not None else None
        if moment is not None:
            found[name] = moment.isoformat()
    return found
