"""Server-side apply, for maps and for lists of named items: field owners, conflicts, removal of what is left out."""

import copy
import json
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]
_IDENTITY = {("metadata", name) for name in ("name", "namespace", "resourceVersion")}


def conflicts(
    body: dict[str, Any], live: dict[str, Any], owners: dict[Path, str], manager: str
) -> list[dict[str, Any]]:
    """The causes of a refusal: fields that another manager owns and that would get another value."""
    old = dict(flat(live))
    return [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{owners[path]}"', "field": "." + ".".join(path)}
        for path, value in _wanted(body).items()
        if owners.get(path, manager) != manager and old.get(path) != value
    ]


def applied(
    body: dict[str, Any], live: dict[str, Any], owners: dict[Path, str], manager: str
) -> tuple[dict[str, Any], dict[Path, str]]:
    """The object after it, with its `managedFields`, and who owns what then."""
    live, owners, new = copy.deepcopy(live), dict(owners), _wanted(body)
    for path in [path for path, owner in owners.items() if owner == manager and path not in new]:
        _remove(live, path)
        del owners[path]
    for path, value in new.items():
        _set(live, path, value)
        owners[path] = manager
    mine = [path for path, owner in owners.items() if owner == manager]
    live["metadata"]["managedFields"] = [{"manager": manager, "operation": "Apply", "fieldsV1": _marks(mine)}]
    return live, owners


def _wanted(body: dict[str, Any]) -> dict[Path, Any]:
    return {
        path: value for path, value in flat(body) if path[0] not in ("apiVersion", "kind") and path[:2] not in _IDENTITY
    }


def flat(value: Any, above: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        value = {f"[{item['name']}]": item for item in value}
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from flat(below, (*above, name))
    else:
        yield above, value


def _set(thing: Any, path: Path, value: Any) -> None:
    *way, last = path
    for step, after in zip(way, path[1:], strict=True):
        if step.startswith("["):
            found = next((item for item in thing if item["name"] == step[1:-1]), None)
            if found is None:
                thing.append(found := {"name": step[1:-1]})
            thing = found
        else:
            thing = thing.setdefault(step, [] if after.startswith("[") else {})
    thing[last] = value


def _remove(thing: Any, path: Path) -> None:
    for step in path[:-1]:
        thing = next(i for i in thing if i["name"] == step[1:-1]) if step.startswith("[") else thing.get(step, {})
    if path[-1] != "name":
        thing.pop(path[-1], None)


def _marks(paths: list[Path]) -> dict[str, Any]:
    marks: dict[str, Any] = {}
    for path in paths:
        below = marks
        for step in path:
            if step.startswith("["):
                below = below.setdefault("k:" + json.dumps({"name": step[1:-1]}), {".": {}})
            else:
                below = below.setdefault("f:" + step, {})
    return marks
