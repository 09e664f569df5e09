"""`suture audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, Data, Limit

app = typer.Typer(help="Read and verify the audit log.", no_args_is_help=True)

_LAST = 2**63 - 1
"""The largest number that a row can have."""


@app.command()
def verify(
    expect: Annotated[list[str] | None, typer.Option(help="A head that `suture audit head` printed earlier.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Recompute the whole hash chain and check its seal; exits with 1 where it is broken."""
    from service.cli.output import counted, print_json
    from service.cli.state import open_state
    from service.store.audit import AuditHead

    heads = [AuditHead.parse(text) for text in expect or ()]
    with open_state(data) as state:
        report = state.audit.verify()
        lost = [head for head in heads if not state.audit.holds(head)]
    breaks = [*report.breaks, *(f"entry {head.number} is not the one that was kept" for head in lost)]
    if as_json:
        print_json({"intact": not breaks, "entries": report.entries, "breaks": breaks})
    else:
        for words in breaks:
            typer.echo(f"broken: {words}")
        typer.echo(f"{report.entries} entries, " + (counted(len(breaks), "break") if breaks else "intact"))
    raise typer.Exit(1 if breaks else 0)


@app.command()
def head(data: Data = None) -> None:
    """Print the number and the hash of the newest entry: keep it elsewhere, for `verify --expect`."""
    from service.cli.state import open_state

    with open_state(data) as state:
        typer.echo(str(state.audit.head()))


@app.command("list")
def list_entries(
    after: Annotated[int, typer.Option(min=0, max=_LAST, help="Only entries after this number.")] = 0,
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
