"""A person ends an incident, or takes it over: what waits for a word on it waits no longer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from models.domain.errors import Conflict
from models.domain.execution import CancelRequest, ExecutionState

if TYPE_CHECKING:
    from models.domain.base import Clock
    from models.domain.incident import Incident, IncidentStatus
    from service.store.executions import Executions
    from service.store.incidents import Incidents


def end_incident(
    incidents: Incidents, executions: Executions, clock: Clock, identifier: str, to: IncidentStatus, reason: str,
    actor: str,
) -> Incident:  # fmt: skip
    """Move the incident to `to`; an execution that waits is cancelled, one that acts is finished.

    Raises NotFound, or Conflict where the incident may not go there. Where it is there already nothing changes.
    """
    # The status first: where it may not change, nothing is cancelled.
    if incidents.transition(identifier, to, reason, actor=actor):
        for _, waiting in executions.page(incident=identifier, state=ExecutionState.PENDING):
            with suppress(Conflict):  # it began meanwhile: it is finished, verified and recorded
                executions.request_cancel(waiting.id, CancelRequest(by=actor, at=clock(), reason=reason))
    return incidents.get(identifier)
