"""Tickets of the embedded tracker. Another ticket system shows its own."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from models.domain.errors import NotFound
from service.api import examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource
from service.api.pages import Cursor, Limit, Page, decode_cursor, encode_cursor
from service.itsm.embedded import EmbeddedTicketing, Ticket, TicketStatus
from service.parts import Parts
from service.security.auth import VIEWER

router = resource("tickets")

_PREFIX = "TCK-"


@router.get(
    "/v1/tickets",
    summary="List tickets, newest first",
    responses=answers({"items": [{**examples.TICKET, "comments": []}], "next": None}, 404),
    dependencies=[VIEWER],
)
def list_tickets(
    parts: PartsOf,
    status: TicketStatus | None = None,
    incident: Annotated[str | None, Query(max_length=40, pattern=PLAIN, examples=["INC-7"])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Ticket]:
    """Without their comments. 404 where another ticket system is configured."""
    after = decode_cursor(cursor)
    before = None if after is None else f"{_PREFIX}{after}"
    found = _tracker(parts).list_tickets(status=status, incident=incident, before=before, limit=limit + 1)
    items = found[:limit]
    last = int(items[-1].reference.removeprefix(_PREFIX)) if len(found) > limit else None
    return Page(items=items, next=None if last is None else encode_cursor(last))


@router.get("/v1/tickets/{id}", summary="One ticket", responses=answers(examples.TICKET, 404), dependencies=[VIEWER])
def get_ticket(parts: PartsOf, id: Identifier) -> Ticket:
    """With all of its comments, oldest first."""
    return _tracker(parts).get_ticket(id)


def _tracker(parts: Parts) -> EmbeddedTicketing:
    if not isinstance(parts.ticketing, EmbeddedTicketing):
        raise NotFound(f"tickets are kept in {parts.ticketing.name}, not here; look at them there")
    return parts.ticketing
