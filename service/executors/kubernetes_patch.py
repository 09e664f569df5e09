"""Patching: allowed fields of an object, by server-side apply in Suture's own name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.executors.arguments import refused
from service.executors.kubernetes_kinds import KINDS, Object
from service.executors.kubernetes_operation import KEY, Scene, has_key
from service.executors.kubernetes_patterns import NAMED_LISTS, join_pointer, leaves, refusal
from service.executors.kubernetes_transport import ApiRefusal
from service.executors.kubernetes_verbs import PatchInputs, PatchOutputs
from service.ports import Effect

_APPLY = "application/apply-patch+yaml"
"""JSON is YAML; the type that takes JSON by its name is younger (Kubernetes 1.31)."""


class Patch:
    """Applies fields. What others manage is refused unless `force`; what Suture set earlier stays."""

    partial = False

    def __init__(self, scene: Scene, inputs: PatchInputs, allowed: Sequence[str]) -> None:
        """Raises ExecutorError where a field is not allowed."""
        self._scene = scene
        self._session = scene.session
        self._inputs = inputs
        self._kind = KINDS[inputs.kind]
        self._path = self._kind.path(inputs.namespace, inputs.name)
        self._fields = patched_fields(inputs, allowed)

    def dry_run(self) -> str:
        """Which fields; the API server took the patch."""
        self._apply()
        place = f"{self._inputs.namespace}/" if self._inputs.namespace else ""
        forced = ", taken over from whoever manages them" if self._inputs.force else ""
        return f"would set {', '.join(self._fields)} of {self._inputs.kind} {place}{self._inputs.name}{forced}"

    def snapshot(self) -> dict[str, Any]:
        """`resource_version` and `generation`. No values: some may be confidential."""
        meta = self._session.get(self._path)["metadata"]
        return {"resource_version": meta.get("resourceVersion"), "generation": meta.get("generation")}

    def act(self) -> PatchOutputs:
        """Apply; the pods that follow from it are the checks' matter."""
        thing = self._apply()
        self._session.applied = True
        version = str(thing["metadata"].get("resourceVersion", ""))
        return PatchOutputs(name=self._inputs.name, resource_version=version, fields=self._fields)

    def observe(self) -> Effect:
        """By the key on the object."""
        return Effect.HAPPENED if has_key(self._session.get(self._path), self._scene.key) else Effect.ABSENT

    def _apply(self) -> Object:
        while True:
            live = self._session.get(self._path)
            if has_key(live, self._scene.key):
                return live
            body = patched(live, self._inputs.fields, self._scene.field_manager, self._scene.key)
            body |= {"apiVersion": self._kind.version, "kind": self._kind.kind}
            force = {"force": "true"} if self._inputs.force else {}
            try:
                return self._session.write("PATCH", self._path, body, content_type=_APPLY, **force)
            except ApiRefusal as error:
                if error.status_code != 409:
                    raise
                if theirs := _managed_by_others(error):
                    raise refused(f"others manage these fields: {theirs} (force: true takes them over)") from error
                self._session.again(error)


def patched_fields(inputs: PatchInputs, allowed: Sequence[str]) -> tuple[str, ...]:
    """The fields that the patch sets, as JSON pointers. Raises ExecutorError where one of them is not allowed."""
    try:
        paths = list(leaves(inputs.fields))
    except ValueError as error:
        raise refused(str(error)) from error
    if reason := refusal(paths, allowed, KEY):
        raise refused(f"{reason}; fields of a {inputs.kind} are allowed by executors.kubernetes.patch.{inputs.kind}")
    return tuple(join_pointer(path) for path in paths)


def patched(live: Object, fields: Mapping[str, Any], manager: str, key: str) -> Object:
    """What to apply: the fields, the key, and what this manager applied before.

    Server-side apply removes a field that its manager applied and now leaves out; a second patch would undo the first.
    """
    meta = live["metadata"]
    mine = next(
        (
            entry.get("fieldsV1") or {}
            for entry in meta.get("managedFields") or []
            if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
        ),
        {},
    )
    identity = {name: meta[name] for name in ("name", "namespace", "resourceVersion") if name in meta}
    marked = {"metadata": {**identity, "annotations": {KEY: key}}}
    merged: Object = _merged(_merged(_owned(mine, live) if mine else {}, fields), marked)
    return merged


def _owned(marks: Mapping[str, Any], live: Any) -> Any:
    """The part of `live` that a `fieldsV1` set names: `f:` fields, `k:` list items by their keys, `v:` list values."""
    if not any(mark != "." for mark in marks):
        return live
    if isinstance(live, list):
        return [item for mark, below in marks.items() for item in _owned_items(mark, below, live)]
    return {
        mark[2:]: _owned(below, live[mark[2:]])
        for mark, below in marks.items()
        if mark.startswith("f:") and mark[2:] in live
    }


def _owned_items(mark: str, below: Mapping[str, Any], live: list[Any]) -> list[Any]:
    if mark.startswith("v:"):
        value = json.loads(mark[2:])
        return [value] if value in live else []
    if not mark.startswith("k:"):
        return []
    keys = json.loads(mark[2:])
    found = [item for item in live if all(item.get(name) == value for name, value in keys.items())]
    return [{**keys, **_owned(below, item)} if set(below) - {"."} else keys for item in found]


def _merged(base: Any, over: Any, name: str = "") -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        both = {key: _merged(base[key], over[key], key) for key in base if key in over}
        return {**base, **over, **both}
    if name in NAMED_LISTS and isinstance(base, list) and isinstance(over, list):
        both = {item["name"]: item for item in base}
        return list({**both, **{item["name"]: _merged(both.get(item["name"], {}), item) for item in over}}.values())
    return over


def _managed_by_others(error: ApiRefusal) -> str:
    causes = [cause for cause in error.causes if cause.get("reason") == "FieldManagerConflict"]
    return "; ".join(f"{cause.get('field', '?')}: {cause.get('message', '')}" for cause in causes)
