"""`suture event`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, Data, Limit

app = typer.Typer(help="What changed: deployments, configuration, scaling.", no_args_is_help=True)


@app.command()
def add(
    kind: Annotated[str, typer.Argument(help="deployment, config, scale, or a word of yours.")],
    text: Annotated[str, typer.Argument(help="What changed; it stands in incidents' timelines.")],
    service: Annotated[str, typer.Option(help="Of which service.")] = "",
    environment: Annotated[str, typer.Option(help="Of which environment; every one where it is left out.")] = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Tell of a change, now: it is put on the timeline of incidents that begin up to an hour later."""
    from models.domain.base import utc_now
    from models.domain.errors import BadInput
    from service.changing import ChangeNotes
    from service.cli.output import print_json
    from service.cli.state import actor, open_state
    from service.store.changes import ChangeEvent, Changes
    from service.topology import load_topology

    for option, value, least, most in (
        ("KIND", kind, 1, 100), ("TEXT", text, 1, 2000), ("--service", service, 0, 200),
        ("--environment", environment, 0, 200),
    ):  # fmt: skip
        if not least <= len(value) <= most or not value.isprintable():
            raise BadInput(f"takes {least} to {most} printable characters", where=option)
    with open_state(data) as state:
        changes = Changes(state.database, utc_now)
        notes = ChangeNotes(state.database, changes, state.incidents, load_topology(state.settings.topology))
        event = notes.add(
            ChangeEvent(id="", at=utc_now(), kind=kind, service=service, environment=environment, text=text, by=actor())
        )
    if as_json:
        print_json(event)
        return
    typer.echo(f"{event.id}: {kind}{f' of {service}' if service else ''}")


@app.command("list")
def list_events(
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List changes of the last 30 days, newest first."""
    from models.domain.base import utc_now
    from service.cli.output import print_json, print_table
    from service.cli.state import open_state
    from service.store.changes import Changes

    with open_state(data) as state:
        found = Changes(state.database, utc_now).page(limit=limit, service=service)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "at", "kind", "service", "environment", "by", "text"),
        [(e.id, f"{e.at:%F %T}", e.kind, e.service, e.environment, e.by, e.text) for e in found],
    )
