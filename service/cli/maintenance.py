"""`suture maintenance`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from datetime import datetime

    from service.cli.state import State
    from service.store.maintenance import Maintenance, MaintenanceWindow

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

    _check("--service", service, 200)
    _check("--environment", environment, 200)
    _check("--reason", reason, 2000)
    begins = _time(from_, "--from") if from_ is not None else None
    ends = _time(to, "--to")
    with open_state(data) as state:
        window = maintenance_of(state).add(
            service=service, environment=environment, starts_at=begins, ends_at=ends, reason=reason, actor=actor()
        )
    if as_json:
        print_json(window)
        return
    typer.echo(f"{window.id}: nothing is started on {service} from {_shown(window.starts_at)}")
    typer.echo(f"to {_shown(window.ends_at)}; `suture maintenance end {window.id}` ends it earlier")


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
            (w.id, _state(w, now), w.service, w.environment, _shown(w.starts_at), _shown(w.ends_at), w.by, w.reason)
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


def _time(text: str, option: str) -> datetime:
    """Raises BadInput for what is no time, or one whose zone would be a guess."""
    from datetime import datetime

    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no ISO time; write for example 2026-03-01T22:00+01:00", where=option) from error
    if at.tzinfo is None:
        words = f"{text!r} does not say in which zone; write {at.isoformat(timespec='minutes')}+01:00, or …Z for UTC"
        raise BadInput(words, where=option)
    return at


def _check(option: str, text: str, longest: int) -> None:
    if not 0 < len(text) <= longest or not text.isprintable():
        raise BadInput(f"takes 1 to {longest} printable characters", where=option)


def _state(window: MaintenanceWindow, now: datetime) -> str:
    if window.ended_at is not None or window.ends_at <= now:
        return "over"
    return "planned" if window.starts_at > now else "holds"


def _shown(at: datetime) -> str:
    return f"{at:%F %H:%M:%S} UTC"
