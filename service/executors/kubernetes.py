"""Acts on Kubernetes clusters: rollouts, scaling, nodes, pods, and patches of allowed fields."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from models.domain.base import Clock
from models.domain.errors import BadInput
from service.executors.arguments import read_arguments, refused
from service.executors.kubernetes_drain import Drain
from service.executors.kubernetes_nodes import Cordon
from service.executors.kubernetes_operation import Operation, Scene
from service.executors.kubernetes_patch import Patch, patched_fields
from service.executors.kubernetes_pods import DeletePod
from service.executors.kubernetes_rollouts import Restart, Undo
from service.executors.kubernetes_scale import Scale
from service.executors.kubernetes_session import Session
from service.executors.kubernetes_settings import KubernetesConfig
from service.executors.kubernetes_transport import base_configuration
from service.executors.kubernetes_verbs import VERBS, target_of
from service.ports import Call, Context, Effect, ExecutorError
from service.validation import read_config

_OPERATIONS: Mapping[str, Callable[[Scene, Any, KubernetesConfig], Operation]] = {
    "rollout-restart": lambda scene, inputs, _: Restart(scene, inputs),
    "rollout-undo": lambda scene, inputs, _: Undo(scene, inputs),
    "scale": lambda scene, inputs, _: Scale(scene, inputs),
    "cordon": lambda scene, inputs, _: Cordon(scene, inputs, closed=True),
    "uncordon": lambda scene, inputs, _: Cordon(scene, inputs, closed=False),
    "drain": lambda scene, inputs, _: Drain(scene, inputs),
    "delete-pod": lambda scene, inputs, _: DeletePod(scene, inputs),
    "patch": lambda scene, inputs, config: Patch(scene, inputs, config.patch.get(inputs.kind, ())),
}


class KubernetesExecutor:
    """Acts through the API server, on allowed objects only, with a token that lives for the one act.

    Tested against a mock API server (kmock) only, never against a cluster. Safe to use from several threads.

    Least privilege. The identity of the kubeconfig, or of the pod, needs `create` on `serviceaccounts/token` of the
    configured accounts (by `resourceNames`), and nothing else where every verb that is used has an account. The
    accounts need, in the namespaces that are allowed:
    rollout-restart: `get`, `update` on deployments, statefulsets, daemonsets;
    rollout-undo: the same, and `list` on replicasets and controllerrevisions;
    scale: `get` on the workloads, `get` and `update` on their `scale` subresource;
    cordon, uncordon: `get`, `update` on nodes (for the cluster);
    drain: the same, `list` on pods and `create` on `pods/eviction` (for the cluster);
    delete-pod: `get`, `delete` on pods;
    patch: `get`, `patch` on the kinds that settings let it patch.
    """

    name = "kubernetes"
    verbs = VERBS

    def __init__(
        self,
        config: KubernetesConfig,
        clock: Clock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`clock` tells the time that a restart notes on the pod template."""
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> KubernetesExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a cluster's file is wrong."""
        if find_spec("kubernetes") is None:
            raise BadInput("needs its client library: pip install 'suture[kubernetes]'", where="executors.kubernetes")
        settings = read_config(KubernetesConfig, config, where="executors.kubernetes")
        for name, cluster in settings.clusters.items():
            try:
                base_configuration(cluster)
            except BadInput as error:
                raise BadInput(error.problem, where=f"executors.kubernetes.clusters.{name}") from error
        return cls(settings, context.clock)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        """`kubernetes:CLUSTER/NAMESPACE/KIND/NAME`, for a node `kubernetes:CLUSTER/node/NAME`."""
        return target_of(_inputs(verb, arguments))

    def dry_run(self, call: Call) -> str:
        """What would be done and as whom. The API server has checked it (`dryRun=All`), with the rights of the act."""
        with self._session(call, dry=True) as session:
            return f"{self._operation(call, session).dry_run()}, {session.actor}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """The object's version and what the verb changes of it."""
        with self._session(call) as session:
            return self._operation(call, session).snapshot()

    def act(self, call: Call) -> dict[str, Any]:
        """Do it within `call.timeout`, the wait for the pods included.

        An error after the change was accepted says HAPPENED: it is in the cluster, whatever came of it.
        """
        with self._session(call) as session:
            operation = self._operation(call, session)
            try:
                return operation.act().model_dump(mode="json")
            except ExecutorError as error:
                if session.applied or (session.touched and not operation.partial):
                    raise ExecutorError(str(error), effect=Effect.HAPPENED) from error
                if session.touched or session.unsure:
                    raise ExecutorError(str(error), effect=Effect.UNKNOWN) from error
                raise

    def observe(self, call: Call) -> Effect:
        """By the key that the act left on the object, or by the state that it asked for; UNKNOWN without an answer."""
        try:
            with self._session(call) as session:
                return self._operation(call, session).observe()
        except ExecutorError:
            return Effect.UNKNOWN

    def _session(self, call: Call, *, dry: bool = False) -> Session:
        """Raises ExecutorError before anything is sent where the call is not allowed."""
        inputs = _inputs(call.verb, call.arguments)
        cluster = self._config.cluster(inputs.cluster)
        self._config.require_allowed(inputs.cluster, inputs.namespace, inputs.kind, inputs.name)
        if call.verb == "patch":
            patched_fields(inputs, self._config.patch.get(inputs.kind, ()))
        manager, monotonic, sleep = self._config.field_manager, self._monotonic, self._sleep
        return Session(cluster, call, field_manager=manager, dry=dry, monotonic=monotonic, sleep=sleep)

    def _operation(self, call: Call, session: Session) -> Operation:
        scene = Scene(session, call.key, call.before, self._clock, self._config.field_manager)
        return _OPERATIONS[call.verb](scene, _inputs(call.verb, call.arguments), self._config)


def _inputs(verb: str, arguments: Mapping[str, Any]) -> Any:
    if verb not in VERBS:
        raise refused(f"there is no kubernetes/{verb}")
    return read_arguments(VERBS[verb].inputs, arguments)
