"""`suture approve` and `suture reject`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import Conflict
from service.cli.options import Data

if TYPE_CHECKING:
    from pathlib import Path

    from service.cli.state import State

_Identifier = Annotated[
    str, typer.Argument(metavar="ID", help="An execution, or an incident with one execution that waits.")
]
_Comment = Annotated[str, typer.Option(help="Why; kept with your word.")]


def approve(identifier: _Identifier, comment: _Comment = "", data: Data = None) -> None:
    """Let an execution that waits go on."""
    _give(identifier, True, comment, data)


def reject(identifier: _Identifier, comment: _Comment = "", data: Data = None) -> None:
    """Refuse an execution that waits."""
    _give(identifier, False, comment, data)


def _give(identifier: str, approved: bool, comment: str, data: Path | None) -> None:
    from service.cli.output import shown
    from service.cli.state import actor, approvals_of, open_state
    from service.store.keys import Role

    with open_state(data) as state:
        execution = state.executions.get(_waiting(state, identifier))
        # Who can read and write the state's files can do everything with it: the local user is an admin.
        approvals_of(state).give(execution.id, approved=approved, by=actor(), role=Role.ADMIN, comment=comment)
    said = "approved" if approved else "rejected"
    typer.echo(f"{said} {execution.id}: {shown(execution.candidate.title)} on {shown(execution.candidate.target)}")


def _waiting(state: State, identifier: str) -> str:
    from models.domain.execution import ExecutionState

    if not identifier.startswith("INC-"):
        return identifier
    state.incidents.get(identifier)
    found = [each.id for _, each in state.executions.page(incident=identifier, state=ExecutionState.PENDING)]
    if len(found) != 1:
        words = f"several executions wait: {', '.join(found)}; name one" if found else "no execution waits"
        raise Conflict(f"{identifier}: {words}")
    return found[0]
