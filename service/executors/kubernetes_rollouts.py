"""Rollouts: restart, undo, and the wait until one is complete."""

from __future__ import annotations

from typing import Any

from service.executors.arguments import refused
from service.executors.kubernetes_history import CHANGE_CAUSE, REVISION, Revision, previous_or, revisions
from service.executors.kubernetes_kinds import KINDS, Object, annotations_of, set_annotations
from service.executors.kubernetes_operation import KEY, Scene, has_key
from service.executors.kubernetes_verbs import RolloutOutputs, UndoInputs, WorkloadInputs
from service.ports import Effect, ExecutorError

_RESTARTED = "kubectl.kubernetes.io/restartedAt"
"""What `kubectl rollout restart` sets: its history reads the same whoever restarted."""


class Rollout:
    """What restart and undo share: one change of the pod template, and the wait for the pods."""

    partial = False

    def __init__(self, scene: Scene, inputs: WorkloadInputs) -> None:
        self._scene = scene
        self._session = scene.session
        self._inputs = inputs
        self._path = KINDS[inputs.kind].path(inputs.namespace, inputs.name)
        self._name = f"{inputs.kind} {inputs.namespace}/{inputs.name}"

    def snapshot(self) -> dict[str, Any]:
        """`resource_version`, `generation` and `revision` (None where the object does not say it)."""
        thing = self._session.get(self._path)
        meta = thing["metadata"]
        return {
            "resource_version": meta.get("resourceVersion"),
            "generation": meta.get("generation"),
            "revision": _revision(thing),
        }

    def observe(self) -> Effect:
        """By the key on the object, or on its pod template, where it stays when somebody changes the object later."""
        thing = self._session.get(self._path)
        marked = has_key(thing, self._scene.key) or has_key(thing["spec"]["template"], self._scene.key)
        return Effect.HAPPENED if marked else Effect.ABSENT

    def _is_done(self, thing: Object) -> bool:
        """Whether an earlier attempt made the change. Raises ExecutorError where a rollout would not come about."""
        if has_key(thing, self._scene.key) or has_key(thing["spec"]["template"], self._scene.key):
            self._session.applied = True
            return True
        if thing["spec"].get("paused"):
            raise refused(f"{self._name} is paused; resume it first (kubectl rollout resume)")
        if thing["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
            raise refused(f"{self._name} replaces pods only when they are deleted (updateStrategy OnDelete)")
        return False

    def _finish(self, before: int | None, thing: Object, *, changed: bool) -> RolloutOutputs:
        """Wait for the rollout, and tell how it ended."""
        self._session.applied = True
        state = ["is not looked at yet"]

        def complete() -> Object | None:
            now = self._session.get(self._path)
            state[0] = progress(self._inputs.kind, now)
            return now if not state[0] else None

        thing = self._session.wait(complete, lambda: f"the rollout of {self._name} was not complete ({state[0]})")
        status = thing.get("status", {})
        return RolloutOutputs(
            name=self._inputs.name,
            revision=_revision(thing),
            before_revision=before,
            replicas=status.get("replicas", status.get("desiredNumberScheduled", 0)),
            ready_replicas=status.get("readyReplicas", status.get("numberReady", 0)),
            updated_replicas=status.get("updatedReplicas", status.get("updatedNumberScheduled", 0)),
            changed=changed,
        )


class Restart(Rollout):
    """Replaces all pods, as `kubectl rollout restart` does: by an annotation of the pod template."""

    def dry_run(self) -> str:
        """The words; the API server took the change."""
        thing = self._session.change(self._path, self._edit)
        replicas = thing["spec"].get("replicas", thing.get("status", {}).get("desiredNumberScheduled", "all"))
        return f"would restart {self._name}: {replicas} pods, a few at a time"

    def act(self) -> RolloutOutputs:
        """Change the template, and wait until every pod is of the new one."""
        before = self._scene.before.get("revision")
        thing = self._session.change(self._path, self._edit)
        return self._finish(before, thing, changed=self._session.touched)

    def _edit(self, thing: Object) -> bool:
        if self._is_done(thing):
            return False
        now = self._scene.clock().isoformat(timespec="seconds")
        set_annotations(thing["spec"]["template"], {_RESTARTED: now, KEY: self._scene.key})
        set_annotations(thing, {KEY: self._scene.key})
        return True


class Undo(Rollout):
    """Puts the pod template of an earlier revision back, as `kubectl rollout undo` does."""

    def __init__(self, scene: Scene, inputs: UndoInputs) -> None:
        super().__init__(scene, inputs)
        self._wanted = inputs.revision

    def snapshot(self) -> dict[str, Any]:
        """As of Rollout, and `to_revision`: what "the previous" means now, for a second attempt too."""
        thing = self._session.get(self._path)
        target, current = self._target(thing)
        return {**super().snapshot(), "revision": current, "to_revision": target.number}

    def dry_run(self) -> str:
        """The revisions; the API server took the change."""
        thing = self._session.get(self._path)
        target, current = self._target(thing)
        self._session.change(self._path, lambda now: self._edit(now, target))
        return f"would take {self._name} from revision {current} back to revision {target.number}"

    def act(self) -> RolloutOutputs:
        """Put the template back, and wait until every pod is of it."""
        thing = self._session.get(self._path)
        before = self._scene.before.get("revision")
        if not self._is_done(thing):
            target, current = self._target(thing)
            before = before or current
            thing = self._session.change(self._path, lambda now: self._edit(now, target))
        outputs = self._finish(before, thing, changed=self._session.touched)
        if outputs.revision is None:
            newest = max((each.number for each in self._revisions(thing)), default=None)
            outputs = outputs.model_copy(update={"revision": newest})
        return outputs

    def _edit(self, thing: Object, target: Revision) -> bool:
        if self._is_done(thing) or thing["spec"]["template"] == target.template:
            return False
        thing["spec"]["template"] = target.template
        changes: dict[str, str | None] = {KEY: self._scene.key}
        if self._inputs.kind == "deployment":
            changes[CHANGE_CAUSE] = target.cause
        set_annotations(thing, changes)
        return True

    def _target(self, thing: Object) -> tuple[Revision, int]:
        known = self._revisions(thing)
        wanted = self._scene.before.get("to_revision") or self._wanted
        return previous_or(wanted, known, self._name)

    def _revisions(self, thing: Object) -> list[Revision]:
        return revisions(self._session, self._inputs.kind, self._inputs.namespace, thing)


def progress(kind: str, thing: Object) -> str:
    """What a rollout still waits for, as `kubectl rollout status` judges it; empty when it is complete.

    Raises ExecutorError where the deployment's own `progressDeadlineSeconds` are over.
    """
    spec, status = thing["spec"], thing.get("status", {})
    if status.get("observedGeneration", 0) < thing["metadata"].get("generation", 0):
        return "its controller has not seen the change"
    if kind == "daemonset":
        wanted = status.get("desiredNumberScheduled", 0)
        counts = (status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0))
    else:
        wanted = spec.get("replicas", 1)
        counts = (status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    if kind == "statefulset":
        return _stateful_progress(spec, status, wanted)
    if kind == "deployment":
        for condition in status.get("conditions", []):
            if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
                raise ExecutorError(f"the rollout got stuck: {condition.get('message', 'its own deadline is over')}")
        if (old := status.get("replicas", 0) - counts[0]) > 0 and counts[0] >= wanted:
            return f"{old} old pods are still there"
    return _short_of(wanted, updated=counts[0], available=counts[1])


def _stateful_progress(spec: Object, status: Object, wanted: int) -> str:
    partition = (spec.get("updateStrategy", {}).get("rollingUpdate") or {}).get("partition") or 0
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    if partition and updated < wanted - partition:  # only the pods from that ordinal on are updated
        return f"{updated} of {wanted - partition} pods are updated"
    if not partition and status.get("updateRevision") != status.get("currentRevision"):
        return f"{updated} of {wanted} pods are updated"
    return f"{ready} of {wanted} pods are ready" if ready < wanted else ""


def _short_of(wanted: int, *, updated: int, available: int) -> str:
    if updated < wanted:
        return f"{updated} of {wanted} pods are updated"
    return f"{available} of {wanted} pods are available" if available < wanted else ""


def _revision(thing: Object) -> int | None:
    text = annotations_of(thing).get(REVISION, "")
    return int(text) if text.isdigit() else None
