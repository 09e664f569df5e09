"""What the controllers of a cluster do with workloads: revisions, and a status that says that the pods follow."""

import copy
from typing import Any

import kmock

REVISION = "deployment.kubernetes.io/revision"
REPLICA_SETS = "apps/v1/replicasets"
CONTROLLER_REVISIONS = "apps/v1/controllerrevisions"


def settle(cluster: Any, plural: str, thing: dict[str, Any]) -> None:
    """Roll the object out: its revision, and a status that says so."""
    revision = _deployment_revision(cluster, thing) if plural == "deployments" else _controller_revision(cluster, thing)
    count = thing["spec"].get("replicas", 3)
    thing["status"] = {
        "observedGeneration": thing["metadata"]["generation"], "replicas": count, "readyReplicas": count,
        "updatedReplicas": count, "availableReplicas": count, "updateRevision": revision, "currentRevision": revision,
        "desiredNumberScheduled": count, "updatedNumberScheduled": count, "numberAvailable": count,
        "numberReady": count,
    }  # fmt: skip
    cluster.put(f"apps/v1/{plural}", thing)


def _owned(cluster: Any, resource: str, owner: dict[str, Any]) -> list[dict[str, Any]]:
    all_ = [
        cluster.see(resource, name, ns)
        for (kind, ns, name) in list(cluster.objects)
        if kind == kmock.resource(resource)
    ]
    return [each for each in all_ if each["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]]


def _deployment_revision(cluster: Any, thing: dict[str, Any]) -> str:
    sets = _owned(cluster, REPLICA_SETS, thing)
    number = 1 + max((int(each["metadata"]["annotations"][REVISION]) for each in sets), default=0)
    template = copy.deepcopy(thing["spec"]["template"])
    known = next((each for each in sets if _plain(each["spec"]["template"]) == template), None)
    one = known or _child(thing, f"{thing['metadata']['name']}-{number}", {"spec": {"template": template}})
    one["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = one["metadata"]["name"]
    one["metadata"]["annotations"] = {**thing["metadata"].get("annotations", {}), REVISION: str(number)}
    cluster.put(REPLICA_SETS, one)
    thing["metadata"].setdefault("annotations", {})[REVISION] = str(number)
    return str(number)


def _plain(template: dict[str, Any]) -> dict[str, Any]:
    template = copy.deepcopy(template)
    template["metadata"]["labels"].pop("pod-template-hash", None)
    return template


def _controller_revision(cluster: Any, thing: dict[str, Any]) -> str:
    known = _owned(cluster, CONTROLLER_REVISIONS, thing)
    number = 1 + max((each["revision"] for each in known), default=0)
    data = {"spec": {"template": {**thing["spec"]["template"], "$patch": "replace"}}}
    one = next((each for each in known if each["data"] == data), None)
    one = one or _child(thing, f"{thing['metadata']['name']}-{number}", {"data": data})
    one["revision"] = number
    return str(cluster.put(CONTROLLER_REVISIONS, one)["metadata"]["name"])


def _child(owner: dict[str, Any], name: str, more: dict[str, Any]) -> dict[str, Any]:
    meta = {
        "name": name, "namespace": owner["metadata"]["namespace"], "labels": {"app": owner["metadata"]["name"]},
        "ownerReferences": [{"uid": owner["metadata"]["uid"], "controller": True, "kind": "X", "name": "x"}],
    }  # fmt: skip
    return {"metadata": meta, **copy.deepcopy(more)}
