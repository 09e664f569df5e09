"""`suture incident merge` and `split`: a person's word on which signals belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.ending import check_reason
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from service.cli.state import State
    from service.regrouping import Regrouping

_Reason = Annotated[str, typer.Option(help="Why; kept in the timelines, the tickets and the audit log.")]


def merge(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The incident that stays.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Those that become part of it.")],
    reason: _Reason,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Merge incidents into one: their signals go there, now and later, and they are closed."""
    from service.cli.output import print_json
    from service.cli.state import actor, open_state

    check_reason(reason)
    with open_state(data) as state:
        incident = regrouping_of(state).merge(identifier, others, reason, actor())
    if as_json:
        print_json(incident)
        return
    typer.echo(f"{', '.join(others)} merged into {incident.id}, which has {len(incident.services)} services now;")
    typer.echo(f"`suture incident split {incident.id} --incident {others[0]} --reason …` takes that back")


def split(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="For example INC-7.")],
    reason: _Reason,
    service: Annotated[list[str] | None, typer.Option(help="Its signals go; repeat it for more.")] = None,
    signal: Annotated[list[str] | None, typer.Option(help="A fingerprint; repeat it for more.")] = None,
    incident: Annotated[str | None, typer.Option(help="One that was merged: all that it had goes.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Split signals off an incident: they become a new one, which takes later ones of their kind."""
    from service.cli.output import print_json
    from service.cli.state import actor, open_state

    check_reason(reason)
    if not (service or signal or incident):
        raise BadInput("say what to split off: --service, --signal or --incident")
    with open_state(data) as state:
        left, off = regrouping_of(state).split(
            identifier, reason, actor(), signals=signal or (), services=service or (), of=incident
        )
    if as_json:
        print_json({"left": left.model_dump(mode="json"), "split_off": off.model_dump(mode="json")})
        return
    typer.echo(f"{off.id} was split off {left.id}: {', '.join(off.services) or 'no service named'};")
    typer.echo(f"`suture incident merge {left.id} {off.id} --reason …` takes that back")


def regrouping_of(state: State) -> Regrouping:
    """What merges and splits the incidents of an installation."""
    from models.domain.base import utc_now
    from service.regrouping import Regrouping
    from service.topology import load_topology

    topology = load_topology(state.settings.topology)
    return Regrouping(state.database, state.incidents, state.executions, topology, utc_now)
