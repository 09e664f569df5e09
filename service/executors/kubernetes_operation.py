"""What each verb is to the executor, and the annotation by which an act is known again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from models.domain.base import Clock, Frozen
from service.executors.kubernetes_kinds import Object, annotations_of
from service.executors.kubernetes_session import Session
from service.ports import Effect

KEY = "suture.dev/key"
"""The annotation that holds the key of the act that last changed the object."""


@dataclass(frozen=True)
class Scene:
    """One call as an operation sees it."""

    session: Session
    key: str
    before: Mapping[str, Any]
    clock: Clock
    field_manager: str


class Operation(Protocol):
    """One verb with its arguments. All raise ExecutorError."""

    partial: bool
    """Whether the act has several writes, so that it may have been done in part."""

    def dry_run(self) -> str:
        """What would be done, in words; the API server checked it."""

    def snapshot(self) -> dict[str, Any]:
        """The state before, as JSON."""

    def act(self) -> Frozen:
        """Do it."""

    def observe(self) -> Effect:
        """Whether it happened."""


def has_key(thing: Object, key: str) -> bool:
    """Whether the act of this key was the last that changed the object."""
    return annotations_of(thing).get(KEY) == key
