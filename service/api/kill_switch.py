"""The kill switch."""

from __future__ import annotations

from models.domain.base import Frozen
from service.api.dependencies import PartsOf, answers, resource, takes
from service.security.auth import VIEWER, Approver, actor_of, demand
from service.store.keys import Role

router = resource("control")


class Switch(Frozen):
    """Whether new executions are stopped."""

    on: bool


@router.get(
    "/v1/kill-switch", summary="Is the kill switch on?", responses=answers({"on": False}), dependencies=[VIEWER]
)
def get_switch(parts: PartsOf) -> Switch:
    """While it is on, nothing new is executed, on any replica."""
    return Switch(on=parts.kill_switch.is_on())


@router.put(
    "/v1/kill-switch",
    summary="Turn the kill switch",
    responses=answers({"on": True}),
    openapi_extra=takes({"on": True}),
)
def put_switch(parts: PartsOf, key: Approver, body: Switch) -> Switch:
    """Turning it on needs the role `approver`, turning it off the role `admin`. Takes effect at once, everywhere."""
    if not body.on:
        demand(key, Role.ADMIN)
    if parts.kill_switch.is_on() is not body.on:
        parts.kill_switch.turn(body.on, actor_of(key))
    return body
