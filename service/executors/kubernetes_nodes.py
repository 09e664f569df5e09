"""Nodes: cordon and uncordon."""

from __future__ import annotations

from typing import Any

from service.executors.kubernetes_kinds import KINDS, Object, set_annotations
from service.executors.kubernetes_operation import KEY, Scene
from service.executors.kubernetes_verbs import NodeInputs, NodeOutputs
from service.ports import Effect


class Cordon:
    """Lets no new pods onto a node, or lets them again (`closed` False)."""

    partial = False

    def __init__(self, scene: Scene, inputs: NodeInputs, *, closed: bool) -> None:
        self._scene = scene
        self._session = scene.session
        self._name = inputs.name
        self._path = KINDS["node"].path("", inputs.name)
        self._closed = closed

    def dry_run(self) -> str:
        """What would change; the API server took it."""
        closed = is_closed(self._session.get(self._path))
        self._session.change(self._path, self._edit)
        verb = "cordon" if self._closed else "uncordon"
        return f"would {verb} node {self._name}" + (", which already is so" if closed == self._closed else "")

    def snapshot(self) -> dict[str, Any]:
        """`unschedulable` and `resource_version`."""
        node = self._session.get(self._path)
        return {"unschedulable": is_closed(node), "resource_version": node["metadata"].get("resourceVersion")}

    def act(self) -> NodeOutputs:
        """Write it, unless it is so already."""
        self._session.change(self._path, self._edit)
        self._session.applied = True
        return NodeOutputs(name=self._name, unschedulable=self._closed, changed=self._session.touched)

    def observe(self) -> Effect:
        """Whether the node is as was asked for."""
        return Effect.HAPPENED if is_closed(self._session.get(self._path)) == self._closed else Effect.ABSENT

    def _edit(self, node: Object) -> bool:
        if is_closed(node) == self._closed:
            return False
        close(node, self._scene.key, closed=self._closed)
        return True


def is_closed(node: Object) -> bool:
    """Whether the node takes no new pods."""
    return bool(node.get("spec", {}).get("unschedulable"))


def close(node: Object, key: str, *, closed: bool = True) -> None:
    """Cordon or uncordon the object, in place, in the name of the act with this key."""
    node.setdefault("spec", {})["unschedulable"] = closed
    set_annotations(node, {KEY: key})
