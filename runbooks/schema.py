"""Checks front matter against the runbook format and says each fault with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from models.domain.runbook import Action, Check, Diagnosis, Parameter, Runbook, Step
from runbooks.frontmatter import Fault, FrontMatter, Path

CATALOGUE_KEYS = frozenset({"triggers", "parameters", "diagnose", "actions"})
_DURATION_KEYS = ("timeout", "within", "hold")
_ID_MEND = "use lower-case letters, digits and hyphens, for example restart-database"
_QUOTE = "put it in quotes: YAML reads a text with `: ` in it, a bare number or yes/no as something else"
_MENDS = {
    "uses": "write executor/verb, for example process/restart",
    "is": 'write an operator and a number in quotes, for example "== 1"',
    "id": _ID_MEND,
    "supports": _ID_MEND,
    "refutes": _ID_MEND,
    "verify": "add at least one check that measures that the action helped",
    "with": "write a mapping of the verb's inputs",
    "[key]": "parameter names are lower-case letters, digits and underscores, and begin with a letter",
}


def is_catalogue(front: FrontMatter) -> bool:
    """Whether the front matter is ours: it has an `id`, or a part of the catalogue.

    Other tools write front matter too (`title`, `weight`): such a file is a plain runbook.
    """
    return "id" in front.values or bool(CATALOGUE_KEYS & front.values.keys())


def read_runbook(front: FrontMatter) -> tuple[Runbook | None, tuple[Fault, ...]]:
    """The runbook, or None with every fault in the order of the file."""
    values = {key: value for key, value in front.values.items() if key != "kind"}
    faults = list(_bare_durations(front, values, ()))
    try:
        runbook = Runbook.model_validate(values)
    except ValidationError as error:
        faults.extend(_fault(item, front) for item in _deepest(error.errors(include_url=False)))
        runbook = None
    unique = sorted(set(faults), key=lambda fault: (fault.line, fault.message))
    return (None if unique else runbook), tuple(unique)


def _deepest(items: Sequence[Any]) -> list[Any]:
    """Without those that only follow from another: a list of checks is "too short" when its one check is wrong."""
    paths = [item["loc"] for item in items]
    return [
        item
        for item in items
        if item["type"] != "too_short"
        or not any(path != item["loc"] and path[: len(item["loc"])] == item["loc"] for path in paths)
    ]


def _fault(item: Any, front: FrontMatter) -> Fault:
    kind, path = item["type"], tuple(item["loc"])
    name = str(path[-1]) if path else ""
    message = item["msg"].removeprefix("Value error, ")
    if kind == "missing":
        mend = _MENDS.get(name, f"add `{name}: …`")
        return Fault(front.line(path[:-1], key=True), f"{_spell(path[:-1])}`{name}` is missing", mend)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, _known_fields(), n=1)
        mend = f"did you mean `{near[0]}`?" if near else "remove it, or put it in the text below the front matter"
        return Fault(front.line(path, key=True), f"{_spell(path[:-1])}unknown field `{name}`", mend)
    if kind == "value_error" and not path:
        path = _reference_path(front.values)
    general = _QUOTE if kind == "string_type" else "see docs/runbooks.md for what this field takes"
    mend = _MENDS.get(name, general)
    got = "" if kind == "value_error" or isinstance(item["input"], dict | list) else f" (got {item['input']!r})"
    return Fault(front.line(path), f"{_spell(path)}{message}{got}", mend)


def _spell(path: Path) -> str:
    """`actions[0].verify[1]: `, or nothing for the top."""
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path if step != "[key]")
    return f"{words.lstrip('.')}: " if words else ""


def _known_fields() -> list[str]:
    models = (Runbook, Parameter, Check, Diagnosis, Step, Action)
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


def _reference_path(values: dict[str, Any]) -> Path:
    """Where the fault is that only the whole runbook shows: an action id given twice, or named and not there."""
    known: list[Any] = []
    for index, action in enumerate(values.get("actions") or ()):
        if action.get("id") in known:
            return ("actions", index, "id")
        known.append(action.get("id"))
    for index, check in enumerate(values.get("diagnose") or ()):
        for role in ("supports", "refutes"):
            if check.get(role) is not None and check[role] not in known:
                return ("diagnose", index, role)
    return ()


def _bare_durations(front: FrontMatter, value: Any, path: Path) -> Iterator[Fault]:
    """A number without a unit would be read as seconds, or was meant as minutes: it is refused."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _DURATION_KEYS and isinstance(item, int | float):
                at = (*path, key)
                yield Fault(front.line(at), f"{_spell(at)}the duration {item!r} has no unit", f"write {item}s, or 5m")
            elif key not in ("with", "parameters"):
                yield from _bare_durations(front, item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _bare_durations(front, item, (*path, index))
