"""`suture audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, Data, Limit

app = typer.Typer(help="Read and verify the audit log.", no_args_is_help=True)


@app.command()
def verify(as_json: AsJson = False, data: Data = None) -> None:
    """Recompute the whole hash chain; exits with 1 where it is broken."""
    from service.cli.output import counted, print_json
    from service.cli.state import open_state

    with open_state(data) as state:
        report = state.audit.verify()
    if as_json:
        print_json({"intact": not report.breaks, "entries": report.entries, "breaks": report.breaks})
    else:
        for words in report.breaks:
            typer.echo(f"broken: {words}")
        typer.echo(
            f"{report.entries} entries, " + (counted(len(report.breaks), "break") if report.breaks else "intact")
        )
    raise typer.Exit(1 if report.breaks else 0)


@app.command("list")
def list_entries(
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    subject: Annotated[str | None, typer.Option(help="Only of this incident, execution or key.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List entries, oldest first."""
    from service.cli.output import print_json, print_table
    from service.cli.state import open_state

    with open_state(data) as state:
        found = state.audit.entries(after=after, limit=limit, subject=subject)
    if as_json:
        print_json(found)
        return
    print_table(
        ("number", "at", "actor", "event", "subject"),
        [(e.number, f"{e.at:%F %T}", e.actor, e.event, e.subject) for e in found],
    )
