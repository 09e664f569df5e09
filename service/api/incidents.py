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
from service.regrouping import Regrouping
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


class Merge(Frozen):
    """Which incidents become part of this one."""

    incidents: tuple[str, ...] = Field(alias="with", min_length=1, max_length=50)
    """Identifiers; these are closed."""
    reason: str = Field(min_length=1, max_length=2000)
    version: int | None = None
    """Of the incident as it was looked at: where it changed meanwhile, nothing is done."""


class Split(Frozen):
    """Which signals become an incident of their own; name them in one way at least."""

    signals: tuple[str, ...] = Field(default=(), max_length=1000)
    """Fingerprints."""
    services: tuple[str, ...] = Field(default=(), max_length=200)
    incident: str | None = None
    """An incident that was merged into this one: all that it had."""
    reason: str = Field(min_length=1, max_length=2000)
    version: int | None = None
    """As for a merge."""


class Parted(Frozen):
    """The two incidents after a split."""

    left: Incident
    split_off: Incident


@router.post(
    "/v1/incidents/{id}/merge",
    summary="Merge incidents into this one",
    responses=answers(examples.INCIDENT, 404, 409),
    openapi_extra=takes({"with": ["INC-8"], "reason": "the shop fails because of the database"}),
)
def merge(parts: PartsOf, key: Approver, id: Identifier, body: Merge) -> Incident:
    """Their signals come here, and so do later ones with the same fingerprints; they are closed."""
    return _regrouping(parts).merge(id, body.incidents, body.reason, actor_of(key), body.version)


@router.post(
    "/v1/incidents/{id}/split",
    summary="Split signals off an incident",
    responses=answers({"left": examples.INCIDENT, "split_off": {**examples.INCIDENT, "id": "INC-9"}}, 404, 409),
    openapi_extra=takes({"services": ["mail"], "reason": "has its own cause"}),
)
def split(parts: PartsOf, key: Approver, id: Identifier, body: Split) -> Parted:
    """They become a new incident, which takes later signals with the same fingerprints."""
    left, off = _regrouping(parts).split(
        id, body.reason, actor_of(key),
        signals=body.signals, services=body.services, of=body.incident, version=body.version,
    )  # fmt: skip
    return Parted(left=left, split_off=off)


def _regrouping(parts: Parts) -> Regrouping:
    return Regrouping(parts.database, parts.incidents, parts.executions, parts.topology, parts.clock)


def _end(parts: Parts, identifier: str, to: IncidentStatus, reason: str, actor: str) -> Incident:
    return end_incident(parts.incidents, parts.executions, parts.clock, identifier, to, reason, actor)
