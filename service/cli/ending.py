"""`suture incident close`, `resolve` and `escalate`: a person's word on how an incident goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.options import Data

if TYPE_CHECKING:
    from pathlib import Path

_Identifier = Annotated[str, typer.Argument(metavar="ID", help="For example INC-7.")]
_Reason = Annotated[str, typer.Option(help="Why; kept in the timeline, the ticket and the audit log.")]
_LONGEST = 2000


def close(identifier: _Identifier, reason: _Reason, data: Data = None) -> None:
    """Close an incident: nothing more is done about it."""
    _end(identifier, "closed", reason, data)


def resolve(identifier: _Identifier, reason: _Reason, data: Data = None) -> None:
    """Say that an incident is mended; signals that come back reopen it."""
    _end(identifier, "resolved", reason, data)


def escalate(identifier: _Identifier, reason: _Reason, data: Data = None) -> None:
    """Take an incident from Suture: it stops working on it."""
    _end(identifier, "escalated", reason, data)


def _end(identifier: str, status: str, reason: str, data: Path | None) -> None:
    from models.domain.base import utc_now
    from models.domain.incident import IncidentStatus
    from service.cli.state import actor, open_state
    from service.incident_ending import end_incident

    check_reason(reason)
    with open_state(data) as state:
        to = IncidentStatus(status)
        incident = end_incident(state.incidents, state.executions, utc_now, identifier, to, reason, actor())
    typer.echo(f"{incident.id} is {incident.status}; an execution that waited is cancelled, one that acts is finished")


def check_reason(reason: str) -> None:
    """Raises BadInput for one that is empty or too long."""
    if not reason.strip() or len(reason) > _LONGEST:
        raise BadInput(f"say why, in 1 to {_LONGEST} characters", where="--reason")
