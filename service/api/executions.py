"""Executions: what was run, and people's words on what waits for one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from models.domain.base import Frozen
from models.domain.execution import Approval, CancelRequest, Execution, ExecutionState
from models.domain.incident import Incident, Request
from service.api import examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource, takes
from service.api.pages import Cursor, Limit, Page, decode_cursor, encode_cursor
from service.security.auth import VIEWER, Approver, actor_of

router = resource("executions")


class Word(Frozen):
    """A person's yes or no."""

    approved: bool
    comment: str = Field(default="", max_length=2000)


class Cancellation(Frozen):
    """Why a person stops an execution."""

    reason: str = Field(default="", max_length=2000)


class Wanted(Frozen):
    """The action that a person wants."""

    runbook: str = Field(max_length=100, pattern=PLAIN, examples=["service-down"])
    action: str = Field(max_length=100, pattern=PLAIN, examples=["restart-process"])


class ExecutionWithApprovals(Execution):
    """An execution with people's words on it."""

    approvals: tuple[Approval, ...] = ()


@router.get(
    "/v1/executions",
    summary="List executions, newest first",
    responses=answers({"items": [examples.EXECUTION], "next": None}),
    dependencies=[VIEWER],
)
def list_executions(
    parts: PartsOf,
    state: ExecutionState | None = None,
    incident: Annotated[str | None, Query(max_length=40, pattern=PLAIN, examples=["INC-7"])] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Execution]:
    """All executions, or those of one incident or in one state."""
    found = parts.executions.page(after=decode_cursor(cursor), limit=limit + 1, incident=incident, state=state)
    items = found[:limit]
    following = encode_cursor(items[-1][0]) if len(found) > limit else None
    return Page(items=[execution for _, execution in items], next=following)


@router.get(
    "/v1/executions/{id}",
    summary="One execution",
    responses=answers({**examples.EXECUTION, "approvals": [examples.APPROVAL]}, 404),
    dependencies=[VIEWER],
)
def get_execution(parts: PartsOf, id: Identifier) -> ExecutionWithApprovals:
    """With its steps, outputs, verification and approvals."""
    execution = parts.executions.get(id)
    return ExecutionWithApprovals(**dict(execution), approvals=tuple(parts.executions.approvals(id)))


@router.post(
    "/v1/executions/{id}/approval",
    summary="Approve or reject an execution",
    responses=answers(examples.APPROVAL, 404, 409, status=201, description="Recorded and signed."),
    status_code=201,
    openapi_extra=takes({"approved": True, "comment": "seen it before"}),
)
def give_approval(parts: PartsOf, key: Approver, id: Identifier, body: Word) -> Approval:
    """One word a person, final. It holds for the exact candidate that the execution names."""
    return parts.approvals.give(
        id, approved=body.approved, by=actor_of(key), role=key.role, key=key.id, comment=body.comment
    )


@router.post(
    "/v1/executions/{id}/cancel",
    summary="Cancel an execution",
    responses=answers({**examples.EXECUTION, "state": "cancelled"}, 404, 409),
    openapi_extra=takes({"reason": "the team is on it"}),
)
def cancel(parts: PartsOf, key: Approver, id: Identifier, body: Cancellation | None = None) -> Execution:
    """At any point: one that waits ends at once (`cancelled`). One that runs has its wish stored (`cancel`) and ends
    at the next safe place: before the act nothing is done, after it the runbook's rollback is performed, and a person
    has the incident. 409 where it ended, or is being rolled back.
    """
    wish = CancelRequest(by=actor_of(key), at=parts.clock(), reason=body.reason if body else "")
    return parts.executions.request_cancel(id, wish)


@router.post(
    "/v1/incidents/{id}/executions",
    summary="Ask for an action on an incident that people have",
    responses=answers(examples.INCIDENT, 404, 409, status=202, description="Suture looks into it again."),
    status_code=202,
    openapi_extra=takes({"runbook": "service-down", "action": "restart-process"}),
)
def request_execution(parts: PartsOf, key: Approver, id: Identifier, body: Wanted) -> Incident:
    """For an incident that was handed over. The action is bound to the incident, decided on by the guard, checked,
    verified and rolled back as any other; its execution names who asked (`requested_by`).
    """
    parts.corpus.action(body.runbook, body.action)
    return parts.incidents.request(id, Request(runbook=body.runbook, action=body.action, by=actor_of(key)))
