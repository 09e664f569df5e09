"""What the kubernetes executor can do: verbs with their typed inputs and outputs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, model_validator

from models.domain.base import Frozen
from service.executors.kubernetes_kinds import KINDS, PatchableKind, ScalableKind, WorkloadKind
from service.ports import Verb

ClusterName = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,63}$")]
"""A name that the settings give."""
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""An RFC 1123 label, as the API demands it."""
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
"""An RFC 1123 subdomain, as the API demands it."""


class ClusterInputs(Frozen):
    """Which of the configured clusters."""

    cluster: ClusterName = "default"


class WorkloadInputs(ClusterInputs):
    """A workload that has a rollout."""

    namespace: Namespace
    kind: WorkloadKind = "deployment"
    name: ObjectName


class UndoInputs(WorkloadInputs):
    """`revision`: as `kubectl rollout history` numbers them; without it the one before the current."""

    revision: int | None = Field(default=None, ge=1)


class ScaleInputs(ClusterInputs):
    """How many pods a workload shall have."""

    namespace: Namespace
    kind: ScalableKind = "deployment"
    name: ObjectName
    replicas: int = Field(ge=0, le=10_000)


class NodeInputs(ClusterInputs):
    """A node."""

    name: ObjectName
    kind: Literal["node"] = "node"
    namespace: Literal[""] = ""


class DrainInputs(NodeInputs):
    """A node, and how hard to try.

    `unmanaged`: also evict pods that no controller makes anew. `empty_dir_data`: also evict pods whose emptyDir volumes
    are lost by it. `grace_seconds`: time that a pod gets to end, in place of its own.
    """

    unmanaged: bool = False
    empty_dir_data: bool = False
    grace_seconds: int | None = Field(default=None, ge=1, le=86_400)


class PodInputs(ClusterInputs):
    """A pod. `unmanaged`: also one that no controller makes anew. `grace_seconds`: in place of its own; never 0."""

    namespace: Namespace
    name: ObjectName
    kind: Literal["pod"] = "pod"
    unmanaged: bool = False
    grace_seconds: int | None = Field(default=None, ge=1, le=86_400)


class PatchInputs(ClusterInputs):
    """Fields of an object, as they stand in its manifest. `force`: take fields over from whoever manages them."""

    namespace: Namespace | Literal[""] = ""
    kind: PatchableKind
    name: ObjectName
    fields: dict[str, JsonValue] = Field(min_length=1)
    force: bool = False

    @model_validator(mode="after")
    def _namespaced(self) -> PatchInputs:
        if KINDS[self.kind].namespaced != bool(self.namespace):
            raise ValueError(f"a {self.kind} {'has no' if self.namespace else 'needs a'} namespace")
        return self


class RolloutOutputs(Frozen):
    """A workload after its rollout. `revision` is None where the object does not say it. `changed`: by this act."""

    name: str
    revision: int | None
    before_revision: int | None
    replicas: int
    ready_replicas: int
    updated_replicas: int
    changed: bool


class ScaleOutputs(Frozen):
    """A workload after it was scaled."""

    name: str
    before_replicas: int
    replicas: int
    ready_replicas: int


class NodeOutputs(Frozen):
    """A node after the act. `changed`: by this act."""

    name: str
    unschedulable: bool
    changed: bool


class DrainOutputs(NodeOutputs):
    """A node that is empty but for `left`. Pods are `NAMESPACE/NAME`."""

    evicted: tuple[str, ...]
    left: tuple[str, ...]


class PodOutputs(Frozen):
    """The pod that is gone."""

    name: str
    uid: str
    node: str | None
    controller: str | None


class PatchOutputs(Frozen):
    """The object after the patch: its resource version, and the paths that were set."""

    name: str
    resource_version: str
    fields: tuple[str, ...]


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("rollout-restart", "Replace all pods of a workload", WorkloadInputs, RolloutOutputs, False, True),
        Verb("rollout-undo", "Go back to an earlier revision of a workload", UndoInputs, RolloutOutputs, False, True),
        Verb("scale", "Set the number of pods of a workload", ScaleInputs, ScaleOutputs, True, True),
        Verb("cordon", "Let no new pod onto a node", NodeInputs, NodeOutputs, True, True),
        Verb("uncordon", "Let new pods onto a node again", NodeInputs, NodeOutputs, True, True),
        Verb("drain", "Cordon a node and evict its pods", DrainInputs, DrainOutputs, True, True),
        Verb("delete-pod", "Delete a pod: its controller makes a new one", PodInputs, PodOutputs, False, True),
        Verb("patch", "Set allowed fields of an object by server-side apply", PatchInputs, PatchOutputs, True, True),
    )
}

VerbName = Literal["rollout-restart", "rollout-undo", "scale", "cordon", "uncordon", "drain", "delete-pod", "patch"]


def target_of(inputs: Any) -> str:
    """`kubernetes:CLUSTER/NAMESPACE/KIND/NAME`, without the namespace where the kind has none."""
    parts = (inputs.cluster, inputs.namespace, inputs.kind, inputs.name)
    return "kubernetes:" + "/".join(part for part in parts if part)
