"""Incidents: list, look at, and end by a person's word."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from models.domain.base import Frozen
from models.domain.incident import Incident, IncidentStatus
from models.domain.recommendation import Recommendation
from service.api import examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource, takes
from service.api.pages import Cursor, Limit, Page, decode_cursor, encode_cursor
from service.incident_ending import end_incident
from service.parts import Parts
from service.security.auth import VIEWER, Approver, actor_of
from service.store.incidents import incident_number

router = resource("incidents")


class Reason(Frozen):
    """Why a person changes an incident's status."""

    reason: str = Field(min_length=1, max_length=2000, examples=["fixed by hand: the disk was full"])


@router.get(
    "/v1/incidents",
    summary="List incidents, newest first",
    responses=answers({"items": [examples.INCIDENT], "next": None}),
    dependencies=[VIEWER],
)
def list_incidents(
    parts: PartsOf,
    status: Annotated[list[IncidentStatus] | None, Query(description="One or more; repeat it.")] = None,
    environment: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Incident]:
    """Incidents without their timelines; one incident alone has its own."""
    found = parts.incidents.page(
        after=decode_cursor(cursor), limit=limit + 1, statuses=status or (), environment=environment
    )
    more = len(found) > limit
    items = found[:limit]
    return Page(items=items, next=encode_cursor(incident_number(items[-1].id)) if more else None)


@router.get(
    "/v1/incidents/{id}", summary="One incident", responses=answers(examples.INCIDENT, 404), dependencies=[VIEWER]
)
def get_incident(parts: PartsOf, id: Identifier) -> Incident:
    """With its signals, impact, culprits and timeline."""
    return parts.incidents.get(id)


@router.get(
    "/v1/incidents/{id}/recommendation",
    summary="The newest recommendation for an incident",
    tags=["recommendations"],
    responses=answers(examples.STORED_RECOMMENDATION, 404),
    dependencies=[VIEWER],
)
def get_recommendation(parts: PartsOf, id: Identifier) -> Recommendation:
    """As it was given at the time. 404 while there is none."""
    return parts.recommendations.latest(id)


@router.post(
    "/v1/incidents/{id}/close",
    summary="Close an incident",
    responses=answers({**examples.INCIDENT, "status": "closed"}, 404, 409),
    openapi_extra=takes({"reason": "a false alarm"}),
)
def close(parts: PartsOf, key: Approver, id: Identifier, body: Reason) -> Incident:
    """Nothing more is done about it; an execution that waits is cancelled, one that acts is finished."""
    return _end(parts, id, IncidentStatus.CLOSED, body.reason, actor_of(key))


@router.post(
    "/v1/incidents/{id}/resolve",
    summary="Mark an incident as resolved",
    responses=answers({**examples.INCIDENT, "status": "resolved"}, 404, 409),
    openapi_extra=takes({"reason": "the disk was emptied by hand"}),
)
def resolve(parts: PartsOf, key: Approver, id: Identifier, body: Reason) -> Incident:
    """For what a person mended. Signals that come back reopen it."""
    return _end(parts, id, IncidentStatus.RESOLVED, body.reason, actor_of(key))


@router.post(
    "/v1/incidents/{id}/escalate",
    summary="Hand an incident to people",
    responses=answers({**examples.INCIDENT, "status": "escalated"}, 404, 409),
    openapi_extra=takes({"reason": "the vendor must look at it"}),
)
def escalate(parts: PartsOf, key: Approver, id: Identifier, body: Reason) -> Incident:
    """Suture stops working on it; an execution that waits is cancelled, one that acts is finished."""
    return _end(parts, id, IncidentStatus.ESCALATED, body.reason, actor_of(key))


def _end(parts: Parts, identifier: str, to: IncidentStatus, reason: str, actor: str) -> Incident:
    return end_incident(parts.incidents, parts.executions, parts.clock, identifier, to, reason, actor)
