"""The kinds of Kubernetes objects that can be touched, and where the API has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

WorkloadKind = Literal["deployment", "statefulset", "daemonset"]
"""What has a rollout."""
ScalableKind = Literal["deployment", "statefulset", "replicaset"]
"""What has the `scale` subresource."""
PatchableKind = Literal[
    "deployment", "statefulset", "daemonset", "horizontalpodautoscaler", "poddisruptionbudget", "cronjob", "configmap",
    "service", "ingress", "namespace", "node",
]  # fmt: skip
"""What `patch` can be allowed to change. Nothing that gives rights, or that holds secrets."""


@dataclass(frozen=True)
class Kind:
    """One kind: its API version, its name in objects and in addresses."""

    version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """The address of an object, or of the collection where `name` is empty. The names were checked before."""
        root = f"/api/{self.version}" if "/" not in self.version else f"/apis/{self.version}"
        middle = f"/namespaces/{namespace}" if self.namespaced else ""
        ends = "".join(f"/{part}" for part in (self.plural, name, subresource) if part)
        return f"{root}{middle}{ends}"


KINDS = {
    kind.kind.lower(): kind
    for kind in (
        Kind("apps/v1", "Deployment", "deployments"),
        Kind("apps/v1", "StatefulSet", "statefulsets"),
        Kind("apps/v1", "DaemonSet", "daemonsets"),
        Kind("apps/v1", "ReplicaSet", "replicasets"),
        Kind("apps/v1", "ControllerRevision", "controllerrevisions"),
        Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        Kind("batch/v1", "CronJob", "cronjobs"),
        Kind("networking.k8s.io/v1", "Ingress", "ingresses"),
        Kind("v1", "ConfigMap", "configmaps"),
        Kind("v1", "Service", "services"),
        Kind("v1", "Pod", "pods"),
        Kind("v1", "ServiceAccount", "serviceaccounts"),
        Kind("v1", "Namespace", "namespaces", namespaced=False),
        Kind("v1", "Node", "nodes", namespaced=False),
    )
}
"""Stable versions, each served since Kubernetes 1.23 or before (https://kubernetes.io/docs/reference/using-api/deprecation-guide/)."""

Object = dict[str, Any]
"""An object of the API as JSON. Kept raw: a typed model would drop the fields that it does not know, and write that."""


def annotations_of(thing: Object) -> dict[str, str]:
    """Its annotations; empty where it has none."""
    return dict(thing.get("metadata", {}).get("annotations") or {})


def set_annotations(thing: Object, values: dict[str, str | None]) -> None:
    """Set annotations of an object or of a pod template, in place; None removes one."""
    merged = {**annotations_of(thing), **values}
    thing.setdefault("metadata", {})["annotations"] = {k: v for k, v in merged.items() if v is not None}


def controller_of(thing: Object) -> Object | None:
    """The owner reference of the controller that made it, if one did."""
    owners = thing.get("metadata", {}).get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)
