"""`suture incident`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import AsJson, Data, Limit

if TYPE_CHECKING:
    from pathlib import Path

    from models.domain.incident import Incident, TimelineEntry
    from service.reporting.fleet import Spread

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
    if incident.merged_into:
        typer.echo(f"merged into: {incident.merged_into}")
    for line in timeline([(entry.at, entry.kind, _told(entry)) for entry in incident.timeline]):
        typer.echo(line)


@app.command()
def report(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="For example INC-7.")],
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown; this is the default.")] = False,
    as_json: AsJson = False,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Write it there instead of printing it.")] = None,
    data: Data = None,
) -> None:
    """Tell what was seen, recommended, decided, done and measured, how long it took, and what follows from it."""
    from pathlib import Path

    from models.domain.errors import BadInput
    from service.cli.output import note
    from service.cli.state import open_state
    from service.incident_report import markdown, record_of
    from service.incident_report import report as report_of

    if as_markdown and as_json:
        raise BadInput("--markdown and --json are two forms; choose one")
    with open_state(data) as state:
        made = report_of(record_of(state, identifier))
    text = made.model_dump_json(indent=2) + "\n" if as_json else markdown(made)
    if out is None:
        typer.echo(text, nl=False)
        return
    _write(Path(out), text)
    note(f"wrote {out}")


@app.command()
def stats(
    since: Annotated[str, typer.Option(metavar="DURATION", help="Only incidents opened in this time.")] = "30d",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show how long it took to detect, acknowledge, mitigate and resolve, and how much was done without a person."""
    from models.domain.base import parse_duration, utc_now
    from models.domain.errors import BadInput
    from service.cli.output import counted, print_json, print_table
    from service.cli.state import open_state
    from service.incident_report import records_since
    from service.incident_report import report as report_of
    from service.reporting.fleet import fleet_times

    try:
        begin = utc_now() - parse_duration(since)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{since!r} is not a duration; write for example 30d or 12h", where="--since") from error
    with open_state(data) as state:
        found = fleet_times(map(report_of, records_since(state, begin)), begin)
    if as_json:
        print_json(found)
        return
    share = "-" if found.share_without_a_person is None else f"{found.share_without_a_person:.0%}"
    typer.echo(f"{counted(found.incidents, 'incident')}, {counted(found.episodes, 'episode')}, {found.ended} ended")
    typer.echo(f"{found.resolved} resolved; without a person: {found.resolved_without_a_person} ({share} of the ended)")
    rows = [(name, *_spread(getattr(found, name))) for name in ("detect", "acknowledge", "mitigate", "resolve")]
    print_table(("time to", "reached", "median", "p90"), rows)


def _spread(spread: Spread) -> tuple[str, ...]:
    from datetime import timedelta

    from service.remediation.words import lasting

    times = (spread.median_seconds, spread.p90_seconds)
    return (str(spread.reached), *("-" if each is None else lasting(timedelta(seconds=each)) for each in times))


def _write(path: Path, text: str) -> None:
    from models.domain.errors import BadInput

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", where="--out") from error


def _told(entry: TimelineEntry) -> str:
    """The entry's words, and why signals are in this incident where it was not the first one's service."""
    because = entry.data.get("because")
    return f"{entry.text} (it {'; it '.join(because)})" if isinstance(because, dict) else entry.text


def _minute(incident: Incident) -> str:
    return f"{incident.started_at:%Y-%m-%d %H:%M}"
