"""`suture maintenance`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import AsJson, Data
from service.cli.parsing import check_words, instant, shown_instant, state_of

if TYPE_CHECKING:
    from service.cli.state import State
    from service.store.maintenance import Maintenance

app = typer.Typer(help="While people work on a service, nothing is started on it.", no_args_is_help=True)

_TIME = "ISO time with its offset"


@app.command()
def add(
    service: Annotated[str, typer.Option(metavar="GLOB", help="Names of services.")],
    to: Annotated[str, typer.Option(metavar="TIME", help=f"{_TIME}.")],
    reason: Annotated[str, typer.Option(help="What is done; it stands in incidents' timelines.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="TIME", help=f"{_TIME}. [default: now]")] = None,
    environment: Annotated[str, typer.Option(metavar="GLOB", help="Names of environments.")] = "*",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Plan a window: incidents are opened and recommended on, but people act."""
    from service.cli.output import print_json
    from service.cli.state import actor, open_state

    check_words("--service", service, 200)
    check_words("--environment", environment, 200)
    check_words("--reason", reason, 2000)
    begins = instant(from_, "--from") if from_ is not None else None
    ends = instant(to, "--to")
    with open_state(data) as state:
        window = maintenance_of(state).add(
            service=service, environment=environment, starts_at=begins, ends_at=ends, reason=reason, actor=actor()
        )
    if as_json:
        print_json(window)
        return
    typer.echo(f"{window.id}: nothing is started on {service} from {shown_instant(window.starts_at)}")
    typer.echo(f"to {shown_instant(window.ends_at)}; `suture maintenance end {window.id}` ends it earlier")


@app.command("list")
def list_windows(as_json: AsJson = False, data: Data = None) -> None:
    """List the windows, newest first, ended ones included."""
    from models.domain.base import utc_now
    from service.cli.output import print_json, print_table
    from service.cli.state import open_state

    with open_state(data) as state:
        found = maintenance_of(state).all()
    if as_json:
        print_json(found)
        return
    now = utc_now()
    print_table(
        ("id", "state", "service", "environment", "from", "to", "by", "reason"),
        [
            (
                w.id,
                state_of(w, now),
                w.service,
                w.environment,
                shown_instant(w.starts_at),
                shown_instant(w.ends_at),
                w.by,
                w.reason,
            )
            for w in found
        ],
    )


@app.command()
def end(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="As `suture maintenance list` shows it.")],
    data: Data = None,
) -> None:
    """End a window now, or call off one that has not begun."""
    from service.cli.state import actor, open_state

    with open_state(data) as state:
        window = maintenance_of(state).end(identifier, actor())
    typer.echo(f"ended {window.id}")


def maintenance_of(state: State) -> Maintenance:
    """The windows of an installation."""
    from models.domain.base import utc_now
    from service.store.maintenance import Maintenance

    return Maintenance(state.database, state.audit, utc_now)
