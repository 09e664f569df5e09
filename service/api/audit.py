"""The audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PLAIN, PartsOf, answers, resource
from service.api.pages import Cursor, Limit, Page, decode_cursor, encode_cursor
from service.security.auth import VIEWER
from service.store.audit import AuditEntry

router = resource("control")


class AuditVerification(Frozen):
    """What a verification of the whole chain found."""

    intact: bool
    entries: int
    breaks: tuple[str, ...]
    """Each place where the chain is broken, in words."""


@router.get(
    "/v1/audit",
    summary="Read the audit log, oldest first",
    responses=answers({"items": [examples.AUDIT_ENTRY], "next": None}),
    dependencies=[VIEWER],
)
def list_entries(
    parts: PartsOf,
    subject: Annotated[str | None, Query(max_length=300, pattern=PLAIN, examples=["INC-7"])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditEntry]:
    """Every change and who made it; with `subject`, those of one incident, execution or key."""
    found = parts.audit.entries(after=decode_cursor(cursor) or 0, limit=limit + 1, subject=subject)
    items = found[:limit]
    return Page(items=items, next=encode_cursor(items[-1].number) if len(found) > limit else None)


@router.get(
    "/v1/audit/verify",
    summary="Verify the audit log",
    responses=answers({"intact": True, "entries": 42, "breaks": []}),
    dependencies=[VIEWER],
)
def verify(parts: PartsOf) -> AuditVerification:
    """Recomputes the whole hash chain: any edit, removal or reordering is found."""
    report = parts.audit.verify()
    return AuditVerification(intact=not report.breaks, entries=report.entries, breaks=report.breaks)
