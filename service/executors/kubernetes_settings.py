"""Settings section `executors.kubernetes`: clusters, accounts, and what may be touched."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from models.domain.base import Frozen
from service.executors.arguments import refused
from service.executors.kubernetes_kinds import KINDS, PatchableKind
from service.executors.kubernetes_patterns import split_pointer
from service.executors.kubernetes_verbs import ClusterName, VerbName

Account = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
"""`NAMESPACE/NAME` of a service account."""


class Cluster(Frozen):
    """How one cluster is reached.

    Either `kubeconfig`, a file (with `context`, else its current one), or `in_cluster`: as the service account of
    the pod that Suture runs in. `accounts`: the service account that acts, for each verb; a verb without one is done
    by the identity of the kubeconfig or the pod itself.
    """

    kubeconfig: Path | None = None
    context: str | None = Field(default=None, min_length=1)
    in_cluster: bool = False
    accounts: dict[VerbName, Account] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.in_cluster == (self.kubeconfig is not None):
            raise ValueError("needs either kubeconfig or in_cluster: true")
        if self.context is not None and self.kubeconfig is None:
            raise ValueError("context goes with kubeconfig")
        return self


class Rule(Frozen):
    """Objects that may be touched: all four must match. Globs; kinds in lower case.

    A kind without namespaces (`node`, `namespace`) must be named in full; for it `namespaces` is not looked at.
    """

    clusters: tuple[str, ...] = Field(default=("*",), min_length=1)
    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = Field(min_length=1)
    names: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _reaches_something(self) -> Self:
        if not self.namespaces and any(kind not in KINDS or KINDS[kind].namespaced for kind in self.kinds):
            raise ValueError("needs namespaces")
        for glob in self.kinds:
            if not any(fnmatchcase(kind, glob) for kind in KINDS):
                raise ValueError(f"there is no kind {glob}; there is {', '.join(KINDS)}")
        return self

    def matches(self, cluster: str, namespace: str, kind: str, name: str) -> bool:
        """Whether the rule lets this object be touched."""
        place = _any(namespace, self.namespaces) and _any(kind, self.kinds) if namespace else kind in self.kinds
        return place and _any(cluster, self.clusters) and _any(name, self.names)


class KubernetesConfig(Frozen):
    """Settings section `executors.kubernetes`.

    `patch`: for each kind the fields that `patch` may set, as JSON pointers (RFC 6901) whose parts are globs; `**` at
    the end means everything below. Containers and variables stand in it by their names. `field_manager`: under which
    name the API server notes what Suture manages.
    """

    clusters: dict[ClusterName, Cluster] = Field(min_length=1)
    allow: tuple[Rule, ...] = Field(min_length=1)
    patch: dict[PatchableKind, tuple[str, ...]] = Field(default_factory=dict)
    field_manager: str = Field(default="suture", pattern=r"^[A-Za-z0-9._-]{1,128}$")

    @field_validator("patch")
    @classmethod
    def _pointers(cls, patch: dict[PatchableKind, tuple[str, ...]]) -> dict[PatchableKind, tuple[str, ...]]:
        for pointer in (pointer for pointers in patch.values() for pointer in pointers):
            split_pointer(pointer)
        return patch

    def cluster(self, name: str) -> Cluster:
        """The cluster of that name. Raises ExecutorError where none is configured."""
        if name not in self.clusters:
            there = ", ".join(sorted(self.clusters))
            raise refused(f"no cluster {name!r} is configured; there is {there}")
        return self.clusters[name]

    def require_allowed(self, cluster: str, namespace: str, kind: str, name: str) -> None:
        """Raises ExecutorError where no rule lets the object be touched."""
        if not any(rule.matches(cluster, namespace, kind, name) for rule in self.allow):
            thing = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
            raise refused(f"{thing} of cluster {cluster} is not allowed; add it to executors.kubernetes.allow")


def _any(text: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
