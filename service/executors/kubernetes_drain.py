"""Draining a node: cordon it, then evict what runs on it, through the Eviction API and its disruption budgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.executors.arguments import refused
from service.executors.kubernetes_kinds import KINDS, Object
from service.executors.kubernetes_nodes import close, is_closed
from service.executors.kubernetes_operation import Scene, has_key
from service.executors.kubernetes_pods import deletion, is_left_on_node, pod_name, refusal
from service.executors.kubernetes_transport import ApiRefusal
from service.executors.kubernetes_verbs import DrainInputs, DrainOutputs
from service.ports import Effect, ExecutorError

_ROUND = 1.0
"""Seconds between two rounds of evictions. kubectl waits 5 s; a budget that frees sooner is used sooner."""
_LONGEST_ROUND = 10.0
"""Longest that the API server's Retry-After is heeded: it knows the budget, not the time that is left."""


@dataclass
class _Progress:
    """What was evicted so far. `held`: names that a budget holds back; `waiting`: of what is still there."""

    evicted: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    pause: float = _ROUND


class Drain:
    """Empties a node. Pods of DaemonSets and mirror pods stay; pods that would be lost are refused unless asked."""

    partial = True

    def __init__(self, scene: Scene, inputs: DrainInputs) -> None:
        self._scene = scene
        self._session = scene.session
        self._inputs = inputs
        self._path = KINDS["node"].path("", inputs.name)

    def dry_run(self) -> str:
        """Which pods would be evicted, and which of them a budget holds back now. The API server took each eviction."""
        evictable, left = self._pods()
        self._session.change(self._path, self._edit)
        progress = _Progress()
        for pod in evictable:
            self._evict(pod, progress)
        names = ", ".join(pod_name(pod) for pod in evictable) or "none"
        words = f"would cordon node {self._inputs.name} and evict {len(evictable)} pods ({names})"
        held = f"; held back by a disruption budget now: {', '.join(sorted(progress.held))}" if progress.held else ""
        return f"{words}; {len(left)} stay{held}"

    def snapshot(self) -> dict[str, Any]:
        """`unschedulable`, and the names of the `pods` that would be evicted."""
        evictable, _ = self._pods()
        node = self._session.get(self._path)
        return {"unschedulable": is_closed(node), "pods": [pod_name(pod) for pod in evictable]}

    def act(self) -> DrainOutputs:
        """Refuse before anything is changed, else cordon, evict, and wait until the pods are gone."""
        self._pods()
        self._session.change(self._path, self._edit)
        progress = _Progress()
        try:
            left = self._session.wait(lambda: self._round(progress), lambda: self._state(progress), every=_ROUND)
        except ExecutorError as error:
            words = f"node {self._inputs.name} is cordoned, {len(progress.evicted)} pods were evicted; then: {error}"
            raise ExecutorError(words, effect=error.effect) from error
        return DrainOutputs(
            name=self._inputs.name,
            unschedulable=True,
            changed=self._session.touched,
            evicted=tuple(progress.evicted),
            left=tuple(left),
        )

    def observe(self) -> Effect:
        """HAPPENED where the node is cordoned and empty; UNKNOWN where this act began it and it is not."""
        node = self._session.get(self._path)
        evictable, _ = self._split()
        if is_closed(node) and not evictable:
            return Effect.HAPPENED
        return Effect.UNKNOWN if has_key(node, self._scene.key) else Effect.ABSENT

    def _round(self, progress: _Progress) -> list[str] | None:
        """Ask for what was not asked for yet; the names of what stays once all is gone."""
        evictable, left = self._pods()
        progress.pause, progress.held = _ROUND, set()
        progress.waiting = [pod_name(pod) for pod in evictable]
        if not evictable:
            return [pod_name(pod) for pod in left]
        for pod in evictable:
            self._session.pause(0)  # a person may ask to stop between two pods
            self._evict(pod, progress)
        self._session.pause(progress.pause - _ROUND)
        return None

    def _evict(self, pod: Object, progress: _Progress) -> None:
        meta = pod["metadata"]
        if meta.get("deletionTimestamp"):  # evicted already, or ended by somebody else
            return
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "deleteOptions": deletion(meta["uid"], self._inputs.grace_seconds, self._session.dry_query),
        }
        path = KINDS["pod"].path(meta["namespace"], meta["name"], "eviction")
        try:
            self._session.write("POST", path, body)
        except ApiRefusal as error:
            if error.status_code == 429:  # a PodDisruptionBudget allows no disruption now
                progress.held.add(pod_name(pod))
                progress.pause = min(max(progress.pause, error.retry_after or 0), _LONGEST_ROUND)
                return
            if error.status_code not in (404, 409):  # gone, or another pod of that name: the next round sees it
                raise
            return
        progress.evicted.append(pod_name(pod))

    def _edit(self, node: Object) -> bool:
        if is_closed(node) and has_key(node, self._scene.key):
            return False
        close(node, self._scene.key)
        return True

    def _pods(self) -> tuple[list[Object], list[Object]]:
        """What to evict and what stays. Raises ExecutorError where a pod would be lost that nobody gave up."""
        evictable, left = self._split()
        reasons = [
            f"{pod_name(pod)} {reason}"
            for pod in evictable
            if (reason := refusal(pod, unmanaged=self._inputs.unmanaged, empty_dir=self._inputs.empty_dir_data))
        ]
        if reasons:
            raise refused(f"node {self._inputs.name} is not drained: {'; '.join(reasons)}")
        return evictable, left

    def _split(self) -> tuple[list[Object], list[Object]]:
        pods = self._session.get("/api/v1/pods", fieldSelector=f"spec.nodeName={self._inputs.name}")["items"]
        left = [pod for pod in pods if is_left_on_node(pod)]
        return [pod for pod in pods if not is_left_on_node(pod)], left

    def _state(self, progress: _Progress) -> str:
        words = [
            f"{name} ({'held back by a disruption budget' if name in progress.held else 'still ending'})"
            for name in progress.waiting
        ]
        return f"{', '.join(words)} still ran there"
