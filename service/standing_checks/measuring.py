"""Measures one standing check: what violates it now, or why that is not known."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from models.domain.base import Labels
from models.domain.errors import SutureError
from models.domain.signal import Sample
from runbooks.expressions import BadExpression, NoValue, Variables, value_of
from service.standing_checks.facts import Means, row_variable
from service.standing_checks.format import StandingCheck

MOST_VIOLATIONS = 50
"""Rows that become signals of their own; further ones are counted in the last one's text."""
_LONGEST_TEXT = 200


@dataclass(frozen=True)
class Violation:
    """One row, or the facts, for which `when` is true. `labels` are the row's."""

    labels: Labels
    value: float | None
    measured: str
    """What was measured, in words."""


@dataclass(frozen=True)
class Measurement:
    """The answer. `problem`: why it is not known, or not of every row; then no violation of before is over."""

    violations: tuple[Violation, ...] = ()
    more: int = 0
    """Violations beyond those that are kept."""
    seen: str = ""
    """What was looked at, in words."""
    problem: str | None = None


def measure(one: StandingCheck, means: Means) -> Measurement:
    """Measure it now. What cannot be measured is never taken for good."""
    try:
        return _of_facts(one, means) if one.facts else _of_rows(one, means)
    except (NoValue, BadExpression) as error:
        return Measurement(problem=f"`when` has no value on what was measured: {error}")
    except SutureError as error:
        return Measurement(problem=str(error))


def _of_rows(one: StandingCheck, means: Means) -> Measurement:
    rows = means.rows(one.query, one.sql)
    if not rows:
        return Measurement(seen="no rows") if one.empty == "ok" else Measurement(problem="there is no data")
    found, unknown = [], []
    for row in rows:
        violation = _of_row(one, row)
        if isinstance(violation, Violation):
            found.append(violation)
        elif violation is not None:
            unknown.append(violation)
    kept = tuple(found[:MOST_VIOLATIONS])
    problem = f"{len(unknown)} of {len(rows)} rows are not known: {unknown[0]}" if unknown else None
    return Measurement(kept, len(found) - len(kept), f"{len(rows)} row{'' if len(rows) == 1 else 's'}", problem)


def _of_row(one: StandingCheck, row: Sample) -> Violation | str | None:
    """The violation, None, or in words why it is not known."""
    if math.isnan(row.value):
        return f"NaN{_labels(row.labels)}"
    try:
        violated = _true(one, Variables(sample=row_variable(row)))
    except NoValue as error:
        return f"{error}{_labels(row.labels)}"
    labels = {name: value for name, value in row.labels.items() if name != "__name__"}
    value = row.value if math.isfinite(row.value) else None
    return Violation(labels, value, f"{row.value:g}{_labels(row.labels)}") if violated else None


def _of_facts(one: StandingCheck, means: Means) -> Measurement:
    facts = {}
    for name, source in one.facts.items():
        try:
            facts[name] = means.fact(source)
        except SutureError as error:
            return Measurement(problem=f"{name}: {error}")
    words = _read(one.when, facts)
    if _true(one, Variables(facts=facts)):
        return Measurement((Violation({}, None, words),), seen=words)
    return Measurement(seen=words)


def _true(one: StandingCheck, variables: Variables) -> bool:
    value = value_of(one.when, variables)
    if not isinstance(value, bool):
        raise NoValue(f"it is {value!r}, neither true nor false")
    return value


def _read(expression: str, facts: dict[str, Any]) -> str:
    """The facts that the expression reads, in words: `served.days_left 3.2`."""
    parts = {}
    for name, field in re.findall(r"\bfacts\.([a-z][a-z0-9_]*)(?:\.([A-Za-z_]\w*))?", expression):
        value = facts.get(name)
        value = value.get(field) if field and isinstance(value, dict) else value
        parts[f"{name}.{field}" if field else name] = _shown(value)
    return ", ".join(f"{name} is {value}" for name, value in parts.items())


def _shown(value: Any) -> str:
    words = f"{value:.4g}" if isinstance(value, float) else str(value)
    return words if len(words) <= _LONGEST_TEXT else f"{words[:_LONGEST_TEXT]}…"


def _labels(labels: Labels) -> str:
    pairs = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f" for {{{pairs}}}" if pairs else ""
