"""Silences: signals that fit their matchers open no incident."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.domain.base import Frozen, Time
from service.api import examples
from service.api.dependencies import Identifier, PartsOf, answers, resource, takes
from service.matchers import LONGEST, matchers
from service.security.auth import VIEWER, Approver, actor_of
from service.store.silences import Silence

router = resource("control")


class NewSilence(Frozen):
    """Which signals are silenced, and until when."""

    matchers: tuple[Annotated[str, Field(min_length=2, max_length=LONGEST)], ...] = Field(min_length=1, max_length=50)
    """`label="value"`, or with `!=`, `=~`, `!~`; all must fit."""
    starts_at: Time | None = None
    """With an offset; now where it is left out."""
    ends_at: Time
    """With an offset."""
    reason: str = Field(min_length=1, max_length=2000)


class SilenceList(Frozen):
    """Silences, newest first: the last 200."""

    items: tuple[Silence, ...]


@router.get(
    "/v1/silences",
    summary="List silences",
    responses=answers({"items": [examples.SILENCE]}),
    dependencies=[VIEWER],
)
def list_silences(parts: PartsOf) -> SilenceList:
    """Planned, present and past ones, each with what it held back."""
    return SilenceList(items=tuple(parts.silences.all()))


@router.get("/v1/silences/{id}", summary="One silence", responses=answers(examples.SILENCE, 404), dependencies=[VIEWER])
def get_silence(parts: PartsOf, id: Identifier) -> Silence:
    """With the last 20 different signals that it held back."""
    return parts.silences.get(id)


@router.post(
    "/v1/silences",
    summary="Silence signals",
    status_code=201,
    responses=answers(examples.SILENCE, status=201, description="Silenced."),
    openapi_extra=takes(
        {"matchers": ['service="orders-db"', 'alertname=~"Disk.*"'], "ends_at": "2099-12-31T06:00:00+01:00",
         "reason": "known, the disk comes on Monday"}
    ),
)  # fmt: skip
def add_silence(parts: PartsOf, key: Approver, body: NewSilence) -> Silence:
    """While it holds, signals that fit all matchers open, join and reopen nothing; they are counted."""
    return parts.silences.add(
        matchers=matchers(body.matchers),
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        reason=body.reason,
        actor=actor_of(key),
    )


@router.delete("/v1/silences/{id}", summary="End a silence", responses=answers(examples.SILENCE, 404, 409))
def end_silence(parts: PartsOf, key: Approver, id: Identifier) -> Silence:
    """Now; one that has not begun is called off. It stays in the list."""
    return parts.silences.end(id, actor_of(key))
