"""A mock API server and an executor that speaks to it; see `mock/mock_cluster.py`."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import kmock
import pytest
import yaml

from models.domain.base import utc_now
from service.executors.kubernetes import KubernetesExecutor
from service.executors.kubernetes_settings import KubernetesConfig
from service.ports import Call

sys.path.insert(0, str(Path(__file__).parent / "mock"))
from mock_cluster import BASE, Cluster
from mock_controllers import settle

ACCOUNT = "suture/actor"
VERBS = ("rollout-restart", "rollout-undo", "scale", "cordon", "uncordon", "drain", "delete-pod", "patch")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An API server that runs in a thread, with a kubeconfig's worth of address and identity."""
    one = Cluster()
    one.prepare()
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with one, kmock.Server(one) as server:
            one.url_ = str(server.url).rstrip("/")
            ready.set()
            await stop.wait()

    def thread() -> None:
        loop.run_until_complete(run())
        loop.close()

    worker = threading.Thread(target=thread)
    worker.start()
    try:
        assert ready.wait(10)
        yield one
    finally:
        loop.call_soon_threadsafe(stop.set)
        worker.join(10)


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    """A kubeconfig with two contexts; `gone` points at a port where nobody listens."""
    path = tmp_path / "kubeconfig"
    servers = {"here": cluster.url_, "gone": "http://127.0.0.1:1"}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
                "users": [{"name": "suture", "user": {"token": BASE}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": "suture"}} for name in servers],
            }
        )
    )
    path.chmod(0o600)
    return path


@pytest.fixture
def config(kubeconfig: Path) -> dict[str, Any]:
    """A settings section: everything in `shop`, nodes `w*`, each verb by one account."""
    return {
        "clusters": {
            "default": {"kubeconfig": str(kubeconfig), "context": "here", "accounts": dict.fromkeys(VERBS, ACCOUNT)},
            "gone": {"kubeconfig": str(kubeconfig), "context": "gone"},
        },
        "allow": [{"namespaces": ["shop"], "kinds": ["*"], "names": ["*"]}, {"kinds": ["node"], "names": ["w*"]}],
        "patch": {
            "deployment": ["/spec/replicas", "/spec/template/spec/containers/*/resources/**", "/metadata/labels/*"]
        },
    }


class Time:
    """Passes only while somebody sleeps: what takes minutes is over at once, and a slow machine is never too late."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


@pytest.fixture
def executor(config: dict[str, Any]) -> KubernetesExecutor:
    """The executor of `config`, in a time of its own."""
    time = Time()
    settings = KubernetesConfig.model_validate(config)
    return KubernetesExecutor(settings, utc_now, monotonic=time.monotonic, sleep=time.sleep)


@pytest.fixture
def call() -> Callable[..., Call]:
    """Makes calls on deployment `shop/web`, with a key of their own."""

    def make(verb: str, *, key: str = "exec-1:act", seconds: float = 10, **more: Any) -> Call:
        before, cancelled = more.pop("before", {}), more.pop("cancelled", lambda: False)
        nodes = verb in ("cordon", "uncordon", "drain")
        defaults = {"name": "w1"} if nodes else {"namespace": "shop", "name": "web"}
        if verb == "patch":
            defaults["kind"] = "deployment"
        return Call(key, verb, defaults | more, timedelta(seconds=seconds), before, cancelled)

    return make


def template(image: str = "web:1") -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}


@pytest.fixture
def workload(cluster: Cluster) -> Callable[..., str]:
    """Stores a workload `shop/web` that was rolled out with these images one after the other; returns its resource."""

    def make(kind: str = "deployment", images: tuple[str, ...] = ("web:1",), **spec: Any) -> str:
        resource = f"apps/v1/{kind}s"
        body = {"selector": {"matchLabels": {"app": "web"}}, **({} if kind == "daemonset" else {"replicas": 3}), **spec}
        meta = {"name": "web", "namespace": "shop", "generation": 0, "uid": "uid-web"}
        thing: dict[str, Any] = {"metadata": meta, "spec": body}
        for image in images:
            thing["spec"]["template"] = template(image)
            thing["metadata"]["generation"] += 1
            settle(cluster, f"{kind}s", thing)
        return resource

    return make


@pytest.fixture
def pod(cluster: Cluster) -> Callable[..., dict[str, Any]]:
    """Stores a pod on node w1, of a ReplicaSet unless told otherwise."""

    def make(name: str = "web-1", controller: str | None = "ReplicaSet", namespace: str = "shop", **more: Any) -> Any:
        meta: dict[str, Any] = {"name": name, "namespace": namespace, **more.pop("metadata", {})}
        if controller:
            meta["ownerReferences"] = [{"kind": controller, "name": "owner", "uid": "u", "controller": True}]
        return cluster.put("v1/pods", {"metadata": meta, "spec": {"nodeName": "w1", **more.pop("spec", {})}, **more})

    return make


@pytest.fixture
def node(cluster: Cluster) -> str:
    """Stores node w1; returns its resource."""
    cluster.put("v1/nodes", {"metadata": {"name": "w1"}, "spec": {"podCIDR": "10.0.0.0/24"}})
    return "v1/nodes"
