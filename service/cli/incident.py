"""`suture incident`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import AsJson, Data, Limit

if TYPE_CHECKING:
    from models.domain.incident import Incident

app = typer.Typer(help="Look at incidents.", no_args_is_help=True)


@app.command("list")
def list_incidents(
    status: Annotated[list[str] | None, typer.Option(help="Only in this status; repeat it for more.")] = None,
    environment: Annotated[str | None, typer.Option(help="Only of this environment.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List incidents, newest first."""
    from models.domain.incident import IncidentStatus
    from service.cli.output import print_json, print_table
    from service.cli.parsing import one_of
    from service.cli.state import open_state

    statuses = [one_of(IncidentStatus, each, "--status") for each in status or []]
    with open_state(data) as state:
        found = state.incidents.page(limit=limit, statuses=statuses, environment=environment)
    if as_json:
        print_json(found)
        return
    columns = ("id", "status", "severity", "environment", "services", "started", "title")
    print_table(
        columns,
        [(i.id, i.status, i.severity, i.environment, ",".join(i.services), _minute(i), i.title) for i in found],
    )


@app.command()
def show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="For example INC-7.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show one incident with its timeline."""
    from service.cli.output import print_json, shown, timeline
    from service.cli.state import open_state
    from service.remediation.words import percent

    with open_state(data) as state:
        incident = state.incidents.get(identifier)
        executions = [each for _, each in state.executions.page(incident=identifier, limit=100)][::-1]
        ticket = state.incidents.ticket(identifier)
    if as_json:
        print_json(incident)
        return
    typer.echo(f"{incident.id}  {incident.status}  {incident.severity}  {shown(incident.title)}")
    typer.echo(f"environment: {shown(incident.environment)}   services: {shown(', '.join(incident.services))}")
    if incident.impact.summary:
        typer.echo(f"impact: {shown(incident.impact.summary)}")
    for culprit in incident.culprits:
        typer.echo(f"culprit: {shown(culprit.service)} ({percent(culprit.probability)}): {shown(culprit.reason)}")
    for execution in executions:
        typer.echo(f"execution: {execution.id} {execution.state}: {shown(execution.candidate.title)}")
    if ticket:
        typer.echo(f"ticket: {shown(ticket)}")
    for line in timeline([(entry.at, entry.kind, entry.text) for entry in incident.timeline]):
        typer.echo(line)


def _minute(incident: Incident) -> str:
    return f"{incident.started_at:%Y-%m-%d %H:%M}"
