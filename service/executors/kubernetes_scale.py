"""Scaling: a number of pods, through the `scale` subresource and nothing else."""

from __future__ import annotations

from typing import Any

from service.executors.kubernetes_kinds import KINDS, Object
from service.executors.kubernetes_operation import Scene
from service.executors.kubernetes_verbs import ScaleInputs, ScaleOutputs
from service.ports import Effect


class Scale:
    """Sets `spec.replicas`, and waits until so many pods are ready.

    The subresource carries no annotations, so the number itself tells whether it happened: it is absolute.
    """

    partial = False

    def __init__(self, scene: Scene, inputs: ScaleInputs) -> None:
        self._scene = scene
        self._session = scene.session
        self._inputs = inputs
        kind = KINDS[inputs.kind]
        self._path = kind.path(inputs.namespace, inputs.name)
        self._scale = kind.path(inputs.namespace, inputs.name, "scale")
        self._name = f"{inputs.kind} {inputs.namespace}/{inputs.name}"

    def dry_run(self) -> str:
        """From how many to how many; the API server took the change."""
        before = _replicas(self._session.get(self._scale))
        self._session.change(self._scale, self._edit)
        return f"would scale {self._name} from {before} to {self._inputs.replicas} pods"

    def snapshot(self) -> dict[str, Any]:
        """`replicas` and `resource_version`."""
        scale = self._session.get(self._scale)
        return {"replicas": _replicas(scale), "resource_version": scale["metadata"].get("resourceVersion")}

    def act(self) -> ScaleOutputs:
        """Set the number, and wait until so many are ready and no more are there."""
        before = self._scene.before.get("replicas")
        if before is None:
            before = _replicas(self._session.get(self._scale))
        self._session.change(self._scale, self._edit)
        self._session.applied = True
        state = {"ready": 0}

        def complete() -> Object | None:
            thing = self._session.get(self._path)
            status = thing.get("status", {})
            state["ready"] = status.get("readyReplicas", 0)
            seen = status.get("observedGeneration", 0) >= thing["metadata"].get("generation", 0)
            counts = {status.get("replicas", 0), state["ready"], self._inputs.replicas}
            return thing if seen and len(counts) == 1 else None

        self._session.wait(
            complete, lambda: f"{state['ready']} of {self._inputs.replicas} pods of {self._name} were ready"
        )
        return ScaleOutputs(
            name=self._inputs.name,
            before_replicas=before,
            replicas=self._inputs.replicas,
            ready_replicas=state["ready"],
        )

    def observe(self) -> Effect:
        """Whether the number is the one that was asked for."""
        now = _replicas(self._session.get(self._scale))
        return Effect.HAPPENED if now == self._inputs.replicas else Effect.ABSENT

    def _edit(self, scale: Object) -> bool:
        if _replicas(scale) == self._inputs.replicas:
            return False
        scale["spec"] = {**(scale.get("spec") or {}), "replicas": self._inputs.replicas}
        return True


def _replicas(scale: Object) -> int:
    # A Scale leaves out the number where it is 0.
    return int((scale.get("spec") or {}).get("replicas", 0))
