"""Resolves a runbook's parameters from an incident: typed, matched in full, within bounds, or not at all."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from models.domain.incident import Incident
from models.domain.runbook import Parameter, Runbook
from runbooks.expressions import BadExpression, NoValue, Variables, check, value_of
from runbooks.patterns import BadPattern, matches_whole
from runbooks.templates import Scalar

INCIDENT_FIELDS = frozenset({"id", "title", "severity", "environment", "service", "services", "labels", "culprit"})
"""What `from` may read. `service` is the one that is acted on; `culprit` has `service`, `metric`, `probability`."""

MAX_TEXT = 1_000
"""Characters of a text value. Labels and titles come from outside, and patterns run over them."""


class Unresolved(ValueError):
    """A parameter that has no usable value, with the reason for a person."""


def check_source(source: str) -> None:
    """Raises BadExpression with the reason where a `from` cannot be used."""
    check(source, "incident", INCIDENT_FIELDS)


def incident_variables(incident: Incident, service: str | None, labels: Mapping[str, str]) -> Variables:
    """An incident as `from` sees it, for one service that may be acted on and the labels that belong to it."""
    culprit = incident.culprit
    values: dict[str, Any] = {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity.value,
        "environment": incident.environment,
        "service": service,
        "services": list(incident.services),
        "labels": dict(labels),
        "culprit": culprit.model_dump(exclude_none=True, exclude={"reason"}) if culprit else None,
    }
    return Variables(incident={name: value for name, value in values.items() if value is not None})


def resolve(runbook: Runbook, variables: Variables) -> tuple[dict[str, Scalar], dict[str, str]]:
    """The values of all parameters that resolve, and the reason for each that does not."""
    values: dict[str, Scalar] = {}
    reasons: dict[str, str] = {}
    for name, parameter in runbook.parameters.items():
        try:
            values[name] = resolve_one(parameter, variables)
        except Unresolved as error:
            reasons[name] = f"parameter {name}: {error}"
    return values, reasons


def resolve_one(parameter: Parameter, variables: Variables) -> Scalar:
    """One parameter's value: of `from` where it has one, else of `default`. Raises Unresolved.

    A value that `from` gives and that is refused is not replaced by the default: it is somebody's answer, and wrong.
    """
    missing = "it has neither `from` nor `default`"
    if parameter.source is not None:
        try:
            found = value_of(parameter.source, variables)
        except (NoValue, BadExpression) as error:
            missing = f"{parameter.source} has no value ({error})"
        else:
            if found is not None and found != "":
                return accept(parameter, found)
            missing = f"{parameter.source} is empty"
    if parameter.default is None:
        raise Unresolved(missing)
    return accept(parameter, parameter.default)


def accept(parameter: Parameter, value: Any) -> Scalar:
    """`value` as the parameter's type. Raises Unresolved where type, pattern, enum or bounds say no."""
    typed = _typed(parameter.type, value)
    # Full match, ASCII classes: a trailing newline or a letter that only looks like a Latin one is no match.
    if parameter.pattern is not None and not _fits(parameter.pattern, str(typed)):
        raise Unresolved(f"{_shown(typed)} does not match {parameter.pattern}")
    if parameter.enum is not None and typed not in parameter.enum:
        raise Unresolved(f"{_shown(typed)} is none of {', '.join(str(option) for option in parameter.enum)}")
    if isinstance(typed, str):
        if any(ord(character) < 32 or ord(character) == 127 for character in typed):
            raise Unresolved(f"{_shown(typed)} holds a control character")
    elif parameter.minimum is not None and typed < parameter.minimum:
        raise Unresolved(f"{typed} is below {parameter.minimum:g}")
    elif parameter.maximum is not None and typed > parameter.maximum:
        raise Unresolved(f"{typed} is above {parameter.maximum:g}")
    return typed


def _fits(pattern: str, text: str) -> bool:
    try:
        return matches_whole(pattern, text)
    except BadPattern as error:  # the linter's to report; no other runbook may fail on it
        raise Unresolved(f"its pattern {pattern} cannot be used: {error}") from error


def _typed(kind: str, value: Any) -> Scalar:
    if kind == "string" and isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise Unresolved(f"the text is longer than {MAX_TEXT} characters")
        return value
    if kind == "boolean":
        if isinstance(value, bool) or value in ("true", "false"):
            return value is True or value == "true"
    elif kind == "integer" and _is_number(value, r"[+-]?[0-9]{1,18}", whole=True):
        return int(value)
    elif kind == "number" and _is_number(value, r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", whole=False):
        return float(value) if not isinstance(value, int) else value
    raise Unresolved(f"{_shown(value)} is not {'an' if kind == 'integer' else 'a'} {kind}")


def _is_number(value: Any, written: str, *, whole: bool) -> bool:
    if isinstance(value, str):
        return re.fullmatch(written, value) is not None
    if isinstance(value, float):
        return math.isfinite(value) and not whole
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
