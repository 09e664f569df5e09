"""The workers."""

from __future__ import annotations

from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource
from service.security.auth import VIEWER
from service.store.replicas import ReplicaState

router = resource("control")


class ReplicaList(Frozen):
    """All workers that the database knows."""

    items: tuple[ReplicaState, ...]


@router.get(
    "/v1/replicas",
    summary="Which workers are alive?",
    responses=answers({"items": [examples.REPLICA]}),
    dependencies=[VIEWER],
)
def list_replicas(parts: PartsOf) -> ReplicaList:
    """Each worker of the last day: when it gave its last sign of life, and who continues what it was doing."""
    return ReplicaList(items=tuple(parts.replicas.states()))
