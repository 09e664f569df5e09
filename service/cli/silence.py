"""`suture silence`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.options import AsJson, Data
from service.cli.parsing import check_words, instant, shown_instant, state_of

if TYPE_CHECKING:
    from datetime import datetime

    from service.cli.state import State
    from service.store.silences import Silences

app = typer.Typer(help="Signals that fit open no incident while a silence holds.", no_args_is_help=True)

_TIME = "ISO time with its offset"
_Id = Annotated[str, typer.Argument(metavar="ID", help="As `suture silence list` shows it.")]


@app.command()
def add(
    matchers: Annotated[list[str], typer.Argument(metavar="MATCHER...", help='For example alertname=~"Disk.*".')],
    reason: Annotated[str, typer.Option(help="Why; kept with the silence and in the audit log.")],
    to: Annotated[str | None, typer.Option(metavar="TIME", help=f"{_TIME}.")] = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="In place of --to: 2h, 30m.")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="TIME", help=f"{_TIME}. [default: now]")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Silence signals that fit all matchers: they open, join and reopen nothing, and are counted."""
    from service.cli.output import print_json
    from service.cli.state import actor, open_state
    from service.matchers import matchers as read

    check_words("--reason", reason, 2000)
    begins = instant(from_, "--from") if from_ is not None else None
    ends = _end(to, for_, begins)
    fitting = read(matchers)
    with open_state(data) as state:
        silence = silences_of(state).add(matchers=fitting, starts_at=begins, ends_at=ends, reason=reason, actor=actor())
    if as_json:
        print_json(silence)
        return
    typer.echo(f"{silence.id}: {', '.join(map(str, silence.matchers))} opens nothing")
    typer.echo(f"from {shown_instant(silence.starts_at)} to {shown_instant(silence.ends_at)}; "
               f"`suture silence end {silence.id}` ends it earlier")  # fmt: skip


@app.command("list")
def list_silences(as_json: AsJson = False, data: Data = None) -> None:
    """List silences, newest first, ended ones included, with how many signals each held back."""
    from models.domain.base import utc_now
    from service.cli.output import print_json, print_table
    from service.cli.state import open_state

    with open_state(data) as state:
        found = silences_of(state).all()
    if as_json:
        print_json(found)
        return
    now = utc_now()
    print_table(
        ("id", "state", "matchers", "from", "to", "held back", "by", "reason"),
        [
            (
                s.id, state_of(s, now), ", ".join(map(str, s.matchers)), shown_instant(s.starts_at),
                shown_instant(s.ends_at), str(s.count), s.by, s.reason,
            )
            for s in found
        ],
    )  # fmt: skip


@app.command()
def show(identifier: _Id, as_json: AsJson = False, data: Data = None) -> None:
    """Show a silence with the signals that it held back last."""
    from service.cli.output import print_json, print_table, shown
    from service.cli.state import open_state

    with open_state(data) as state:
        silence = silences_of(state).get(identifier)
    if as_json:
        print_json(silence)
        return
    typer.echo(f"{silence.id}  {', '.join(map(str, silence.matchers))}: {shown(silence.reason)} ({shown(silence.by)})")
    typer.echo(f"{silence.count} signals held back; the last different ones:")
    print_table(
        ("name", "service", "times", "last at"),
        [(s.name, s.service or "-", str(s.count), shown_instant(s.last_at)) for s in silence.signals],
    )


@app.command()
def end(identifier: _Id, data: Data = None) -> None:
    """End a silence now, or call off one that has not begun."""
    from service.cli.state import actor, open_state

    with open_state(data) as state:
        silence = silences_of(state).end(identifier, actor())
    typer.echo(f"ended {silence.id}, which held {silence.count} signals back")


def silences_of(state: State) -> Silences:
    """The silences of an installation."""
    from models.domain.base import utc_now
    from service.store.silences import Silences

    return Silences(state.database, state.audit, utc_now)


def _end(to: str | None, for_: str | None, begins: datetime | None) -> datetime:
    from models.domain.base import parse_duration, utc_now

    if (to is None) == (for_ is None):
        raise BadInput("say when it ends: either --to TIME or --for DURATION", where="--to")
    if to is not None:
        return instant(to, "--to")
    try:
        return (begins or utc_now()) + parse_duration(for_ or "")
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{for_!r} is not a duration; write for example 2h or 30m", where="--for") from error
