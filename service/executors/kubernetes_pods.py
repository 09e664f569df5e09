"""Pods: which of them may go, and deleting one."""

from __future__ import annotations

from typing import Any

from service.executors.arguments import refused
from service.executors.kubernetes_kinds import KINDS, Object, annotations_of, controller_of
from service.executors.kubernetes_operation import Scene
from service.executors.kubernetes_transport import ApiRefusal
from service.executors.kubernetes_verbs import PodInputs, PodOutputs
from service.ports import Effect

_MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that a node's kubelet runs from a file: the API cannot end it."""


def pod_name(pod: Object) -> str:
    """`NAMESPACE/NAME`."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def is_left_on_node(pod: Object) -> bool:
    """Whether a drain leaves it alone: a mirror pod, or a DaemonSet's, which would come back at once."""
    return _MIRROR in annotations_of(pod) or (controller_of(pod) or {}).get("kind") == "DaemonSet"


def refusal(pod: Object, *, unmanaged: bool, empty_dir: bool) -> str | None:
    """Why the pod may not be ended, None where it may. One that has ended by itself always may."""
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return None
    if not unmanaged and controller_of(pod) is None:
        return "has no controller that would make it anew (unmanaged: true takes it all the same)"
    if not empty_dir and any("emptyDir" in volume for volume in pod.get("spec", {}).get("volumes") or []):
        return "has emptyDir volumes, whose data would be lost (empty_dir_data: true takes it all the same)"
    return None


def deletion(uid: str, grace: int | None, dry: dict[str, str]) -> Object:
    """DeleteOptions for the pod with this uid and no other of its name."""
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if dry:
        options["dryRun"] = [dry["dryRun"]]
    return options


class DeletePod:
    """Deletes one pod, by its uid, and waits until it is gone."""

    partial = False

    def __init__(self, scene: Scene, inputs: PodInputs) -> None:
        self._scene = scene
        self._session = scene.session
        self._inputs = inputs
        self._path = KINDS["pod"].path(inputs.namespace, inputs.name)
        self._name = f"pod {inputs.namespace}/{inputs.name}"

    def dry_run(self) -> str:
        """Which pod, and who makes it anew; the API server took the deletion."""
        pod = self._pod()
        self._session.write("DELETE", self._path, self._options(pod["metadata"]["uid"]))
        owner = controller_of(pod)
        anew = f"; {owner['kind']} {owner['name']} makes a new one" if owner else "; nothing makes a new one"
        return f"would delete {self._name} on {pod.get('spec', {}).get('nodeName', 'no node')}{anew}"

    def snapshot(self) -> dict[str, Any]:
        """`uid`, `node` and `controller`: a later pod of the same name is not this one."""
        return _described(self._pod())

    def act(self) -> PodOutputs:
        """Delete the pod that `snapshot` saw, if it is still there, and wait until it is gone."""
        known = dict(self._scene.before) if "uid" in self._scene.before else _described(self._pod())
        uid = known["uid"]
        try:
            self._session.write("DELETE", self._path, self._options(uid))
        except ApiRefusal as error:
            if error.status_code not in (404, 409):  # gone already, or another pod has its name by now
                raise
        self._session.applied = True
        self._session.wait(lambda: self._found(uid) is None or None, lambda: f"{self._name} was still ending")
        return PodOutputs(name=self._inputs.name, **known)

    def observe(self) -> Effect:
        """By the uid: gone or ending means that it happened."""
        uid = self._scene.before.get("uid")
        if uid is None:
            return Effect.UNKNOWN
        pod = self._found(uid)
        ending = pod is None or pod["metadata"].get("deletionTimestamp")
        return Effect.HAPPENED if ending else Effect.ABSENT

    def _pod(self) -> Object:
        pod = self._session.get(self._path)
        if _MIRROR in annotations_of(pod):
            raise refused(f"{self._name} is run by its node from a file; the API cannot end it")
        if reason := refusal(pod, unmanaged=self._inputs.unmanaged, empty_dir=True):
            raise refused(f"{self._name} {reason}")
        return pod

    def _found(self, uid: str) -> Object | None:
        try:
            pod = self._session.get(self._path)
        except ApiRefusal as error:
            if error.status_code == 404:
                return None
            raise
        return pod if pod["metadata"]["uid"] == uid else None

    def _options(self, uid: str) -> Object:
        return deletion(uid, self._inputs.grace_seconds, self._session.dry_query)


def _described(pod: Object) -> dict[str, Any]:
    owner = controller_of(pod)
    return {
        "uid": pod["metadata"]["uid"],
        "node": pod.get("spec", {}).get("nodeName"),
        "controller": f"{owner['kind']}/{owner['name']}" if owner else None,
    }
