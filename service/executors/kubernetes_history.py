"""The revisions of a workload: ReplicaSets of a Deployment, ControllerRevisions of the others."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from service.executors.arguments import refused
from service.executors.kubernetes_kinds import KINDS, Object, annotations_of, controller_of
from service.executors.kubernetes_session import Session

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
_HASH = "pod-template-hash"
"""The label by which the deployment controller tells its ReplicaSets apart; not part of the template it was made of."""


@dataclass(frozen=True)
class Revision:
    """One revision: its number, the pod template, and why it was made where somebody wrote that down."""

    number: int
    template: dict[str, Any]
    cause: str | None


def revisions(session: Session, kind: str, namespace: str, owner: Object) -> list[Revision]:
    """The revisions that the cluster still keeps (`revisionHistoryLimit`), oldest first."""
    listed = KINDS["replicaset" if kind == "deployment" else "controllerrevision"].path(namespace)
    items = session.get(listed, labelSelector=_selector(owner["spec"].get("selector") or {}))["items"]
    mine = [item for item in items if (controller_of(item) or {}).get("uid") == owner["metadata"]["uid"]]
    read = _of_replica_set if kind == "deployment" else _of_controller_revision
    return sorted((found for item in mine if (found := read(item))), key=lambda each: each.number)


def previous_or(wanted: int | None, known: list[Revision], name: str) -> tuple[Revision, int]:
    """The wanted revision, without one that before the newest; and the newest's number. Raises ExecutorError."""
    numbers = ", ".join(str(each.number) for each in known) or "none"
    if wanted is None:
        if len(known) < 2:
            raise refused(f"{name} has no revision to go back to; it has {numbers}")
        return known[-2], known[-1].number
    for each in known:
        if each.number == wanted:
            return each, known[-1].number
    raise refused(f"{name} has no revision {wanted}; it has {numbers}")


def _of_replica_set(thing: Object) -> Revision | None:
    number = annotations_of(thing).get(REVISION, "")
    if not number.isdigit():
        return None
    template = copy.deepcopy(thing["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(_HASH, None)
    return Revision(int(number), template, annotations_of(thing).get(CHANGE_CAUSE))


def _of_controller_revision(thing: Object) -> Revision:
    # The data is the patch that makes the workload what it was: `$patch: replace` means the whole template.
    template = copy.deepcopy(thing["data"]["spec"]["template"])
    template.pop("$patch", None)
    return Revision(int(thing["revision"]), template, annotations_of(thing).get(CHANGE_CAUSE))


def _selector(selector: Object) -> str:
    """A label selector in the form of the query parameter."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or []:
        key, operator, values = rule["key"], rule["operator"], ",".join(rule.get("values") or [])
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(operator, f"!{key}")
        )
    return ",".join(parts)
