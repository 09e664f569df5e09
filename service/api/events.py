"""Events that changed something: deployments, configuration, scaling, Kubernetes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from models.domain.base import Frozen, Time
from models.domain.errors import BadInput
from service.api import examples
from service.api.dependencies import PLAIN, PartsOf, answers, resource, takes
from service.api.pages import Cursor, Limit, Page, decode_cursor, encode_cursor
from service.contract import LabelMap
from service.instants import MAX_AHEAD
from service.security.auth import VIEWER, Sender, actor_of
from service.store.changes import KEPT, ChangeEvent

router = resource("telemetry")

_Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewEvent(Frozen):
    """Something that changed."""

    kind: Annotated[str, Field(min_length=1, max_length=100, pattern=PLAIN)]
    """`deployment`, `config`, `scale`, `kubernetes`, or a word of yours."""
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    at: Time | None = None
    """With an offset; now where it is left out. At most 30 days ago."""
    service: _Name = ""
    environment: _Name = ""
    """Of every environment where it is left out."""
    labels: LabelMap = Field(default_factory=dict)


@router.post(
    "/v1/events",
    summary="Tell of a change",
    status_code=201,
    responses=answers(examples.EVENT, status=201, description="Stored."),
    openapi_extra=takes(examples.NEW_EVENT),
)
def add_event(parts: PartsOf, key: Sender, body: NewEvent) -> ChangeEvent:
    """A deployment and the like. It is put on the timeline of incidents of that service, and of services that depend on
    it, which began up to an hour later or have not ended yet. It is counted as a series, and opens nothing by itself.
    """
    now = parts.clock()
    if body.at is not None and not -MAX_AHEAD <= now - body.at <= KEPT:
        raise BadInput("write a time of the last 30 days, at most 10 minutes ahead", where="$.at")
    event = ChangeEvent(
        id="", at=body.at or now, kind=body.kind, service=body.service, environment=body.environment, text=body.text,
        labels=body.labels, by=actor_of(key),
    )  # fmt: skip
    return parts.notes.add(event)


@router.get(
    "/v1/events",
    summary="List changes, newest first",
    responses=answers({"items": [examples.EVENT], "next": None}),
    dependencies=[VIEWER],
)
def list_events(
    parts: PartsOf,
    service: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ChangeEvent]:
    """Those of the last 30 days, at most 50,000, in the order in which they were told."""
    found = parts.changes.page(after=decode_cursor(cursor), limit=limit + 1, service=service)
    items, more = list(found[:limit]), len(found) > limit
    last = int(items[-1].id.removeprefix("EVT-")) if more else 0
    return Page(items=items, next=encode_cursor(last) if more else None)
