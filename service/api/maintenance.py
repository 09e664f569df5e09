"""Maintenance windows: while people work on a service, Suture starts nothing on it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.domain.base import Frozen, Time
from service.api import examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource, takes
from service.security.auth import VIEWER, Admin, Approver, actor_of
from service.store.maintenance import MaintenanceWindow

router = resource("control")

_Glob = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]


class NewWindow(Frozen):
    """When people work on which services."""

    service: _Glob
    """A glob over service names."""
    environment: _Glob = "*"
    """A glob over environments."""
    starts_at: Time | None = None
    """With an offset; now where it is left out."""
    ends_at: Time
    """With an offset."""
    reason: str = Field(min_length=1, max_length=2000)


class WindowList(Frozen):
    """Maintenance windows, newest first: all that have not ended, and the last 200."""

    items: tuple[MaintenanceWindow, ...]


@router.get(
    "/v1/maintenance",
    summary="List maintenance windows",
    responses=answers({"items": [examples.MAINTENANCE]}),
    dependencies=[VIEWER],
)
def list_windows(parts: PartsOf) -> WindowList:
    """Planned, present and past ones."""
    return WindowList(items=tuple(parts.maintenance.all()))


@router.post(
    "/v1/maintenance",
    summary="Plan a maintenance window",
    status_code=201,
    responses=answers(examples.MAINTENANCE, status=201, description="Planned."),
    openapi_extra=takes({"service": "orders-*", "ends_at": "2099-12-31T06:00:00+01:00", "reason": "new disks"}),
)
def add_window(parts: PartsOf, key: Approver, body: NewWindow) -> MaintenanceWindow:
    """During it nothing new is executed on the services, on any replica; incidents are opened and recommended on."""
    return parts.maintenance.add(
        service=body.service,
        environment=body.environment,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        reason=body.reason,
        actor=actor_of(key),
    )


@router.delete(
    "/v1/maintenance/{id}",
    summary="End a maintenance window",
    responses=answers(examples.MAINTENANCE, 404, 409),
)
def end_window(parts: PartsOf, key: Admin, id: Identifier) -> MaintenanceWindow:
    """Now; one that has not begun is called off. It stays in the list."""
    return parts.maintenance.end(id, actor_of(key))
