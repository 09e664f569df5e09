"""Which fields a patch sets, as JSON pointers, and which of them are allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

NAMED_LISTS = frozenset({"containers", "initContainers", "env"})
"""Lists that the API server merges item by item, by `name` (`x-kubernetes-list-map-keys` of PodSpec and Container)."""

_ALWAYS_REFUSED = ("apiVersion", "kind", "status")
_METADATA = ("labels", "annotations")
"""The parts of an object's metadata that are the user's."""


def split_pointer(pointer: str) -> tuple[str, ...]:
    """The parts of a JSON pointer (RFC 6901). Raises ValueError on what is none."""
    if not pointer.startswith("/") or pointer.endswith("/") or "//" in pointer:
        raise ValueError(f"{pointer!r} is not a JSON pointer; write for example /spec/replicas")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def join_pointer(parts: Sequence[str]) -> str:
    """The JSON pointer of these parts."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def leaves(fields: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of each value. An empty map and a list are one value; items of `NAMED_LISTS` go by their names.

    Raises ValueError on a null, which server-side apply does not take as "remove", and on an item without a name.
    """
    for name, value in fields.items():
        path = (*above, name)
        if value is None:
            raise ValueError(f"{join_pointer(path)} is null; server-side apply cannot remove a field by that")
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        elif isinstance(value, list) and name in NAMED_LISTS:
            yield from _items(value, path)
        else:
            yield path


def _items(items: list[Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    if not items or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{join_pointer(path)} needs items that each have a name of their own")
    for item in items:
        rest = {key: value for key, value in item.items() if key != "name"}
        if not rest:
            raise ValueError(f"{join_pointer((*path, item['name']))} sets nothing")
        yield from leaves(rest, (*path, item["name"]))


def refusal(paths: Sequence[tuple[str, ...]], allowed: Sequence[str], own: str) -> str | None:
    """Why these paths may not be set, None where they may. `own` is the annotation that Suture itself writes."""
    patterns = [split_pointer(pointer) for pointer in allowed]
    for path in paths:
        pointer = join_pointer(path)
        foreign = path[0] == "metadata" and (len(path) < 3 or path[1] not in _METADATA)
        if path[0] in _ALWAYS_REFUSED or foreign or path[-1] == own:
            return f"{pointer} can never be patched"
        if not any(_matches(path, pattern) for pattern in patterns):
            return f"{pointer} is not allowed"
    return None


def _matches(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if pattern[-1] == "**":
        head = pattern[:-1]
        return len(path) > len(head) and _matches(path[: len(head)], head) if head else True
    return len(path) == len(pattern) and all(fnmatchcase(part, glob) for part, glob in zip(path, pattern, strict=True))
