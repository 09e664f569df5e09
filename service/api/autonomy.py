"""Earned autonomy: levels of actions, and what people did where Suture did not act."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from models.domain.base import Frozen
from models.domain.execution import Mode, Shadow
from service.api import examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource, takes
from service.guard.ladder import ActionAutonomy
from service.security.auth import VIEWER, Admin, Approver, actor_of
from service.store.autonomy import Place

router = resource("autonomy")

_PLAIN = Field(min_length=1, max_length=200, pattern=PLAIN)


class ActionList(Frozen):
    """Actions in environments of which anything is known."""

    items: tuple[ActionAutonomy, ...]


class NewLevel(Frozen):
    """A level by a person's word."""

    environment: Annotated[str, _PLAIN]
    level: Mode
    reason: str = Field(min_length=1, max_length=2000)


class ActionTaken(Frozen):
    """What a person did on an incident."""

    action: Annotated[str, _PLAIN]
    """`RUNBOOK/ACTION` of a candidate that was recommended, or `other`."""
    comment: str = Field(default="", max_length=2000)


@router.get(
    "/v1/autonomy",
    summary="List what actions have earned",
    responses=answers({"items": [examples.AUTONOMY]}),
    dependencies=[VIEWER],
)
def list_levels(
    parts: PartsOf, environment: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None
) -> ActionList:
    """Those of which anything is known: a changed level, an outcome or a shadow. All others are where actions begin."""
    return ActionList(items=tuple(parts.levels.looks(environment)))


@router.get(
    "/v1/autonomy/{runbook}/{action}",
    summary="What one action has earned in an environment",
    responses=answers(examples.AUTONOMY, 404),
    dependencies=[VIEWER],
)
def get_level(
    parts: PartsOf,
    runbook: Identifier,
    action: Identifier,
    environment: Annotated[str, Query(min_length=1, max_length=200, pattern=PLAIN)],
) -> ActionAutonomy:
    """Its level, the evidence since that changed, the bounds, and what is missing to the next level in words."""
    place = Place(runbook, action, environment)
    parts.levels.require(place, parts.corpus.runbooks())
    return parts.levels.look(place)


@router.put(
    "/v1/autonomy/{runbook}/{action}",
    summary="Give an action a level",
    responses=answers({**examples.AUTONOMY, "level": "suggest"}, 404, 409),
    openapi_extra=takes({"environment": "sandbox", "level": "suggest", "reason": "the new release is not known yet"}),
)
def put_level(parts: PartsOf, key: Admin, runbook: Identifier, action: Identifier, body: NewLevel) -> ActionAutonomy:
    """In place of what it has earned; what counts for the next level begins anew. Not above the environment's mode."""
    place = Place(runbook, action, body.environment)
    parts.levels.require(place, parts.corpus.runbooks())
    return parts.levels.set(place, body.level, body.reason, actor_of(key))


@router.post(
    "/v1/incidents/{id}/action-taken",
    summary="Say what you did",
    status_code=201,
    responses=answers(examples.SHADOW, 404, 409, status=201, description="Recorded, and compared."),
    openapi_extra=takes({"action": "postgres-connection-failures/restart-database", "comment": "by hand"}),
)
def action_taken(parts: PartsOf, key: Approver, id: Identifier, body: ActionTaken) -> Shadow:
    """Where Suture did not act itself. The first that is said counts, once for each time that the incident opened."""
    return parts.shadows.taken(id, body.action, actor_of(key), body.comment)
