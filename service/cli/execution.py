"""`suture execution`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import AsJson, Data, Limit
from service.cli.outcomes import outcomes

if TYPE_CHECKING:
    from datetime import datetime

    from models.domain.execution import Approval, StepRecord

app = typer.Typer(help="Look at executions.", no_args_is_help=True)
app.command()(outcomes)


@app.command("list")
def list_executions(
    incident: Annotated[str | None, typer.Option(help="Only of this incident, for example INC-7.")] = None,
    of_state: Annotated[str | None, typer.Option("--state", help="Only in this state, for example pending.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List executions, newest first."""
    from models.domain.execution import ExecutionState
    from service.cli.output import print_json, print_table
    from service.cli.parsing import one_of
    from service.cli.state import open_state

    chosen = one_of(ExecutionState, of_state, "--state") if of_state else None
    with open_state(data) as state:
        found = [execution for _, execution in state.executions.page(limit=limit, incident=incident, state=chosen)]
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "incident", "state", "uses", "target", "created"),
        [(e.id, e.incident, e.state, e.candidate.uses, e.candidate.target, f"{e.created_at:%F %T}") for e in found],
    )


@app.command()
def show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="As `suture execution list` shows it.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show one execution: what runs, what the guard said, each step and each person's word."""
    from service.cli.output import print_json, shown, timeline
    from service.cli.state import open_state
    from service.remediation.words import compared, percent, told

    with open_state(data) as state:
        execution = state.executions.get(identifier)
        approvals = state.executions.approvals(identifier)
        settings = state.settings
    if as_json:
        print_json({**execution.model_dump(mode="json", by_alias=True), "approvals": approvals})
        return
    candidate, decision = execution.candidate, execution.decision
    arguments = " ".join(f"{name}={shown(value)}" for name, value in candidate.arguments.items())
    policies = f" (policy {', '.join(decision.policies)})" if decision.policies else ""
    typer.echo(f"{execution.id}  {execution.state}  {execution.incident}  {shown(candidate.title)}")
    typer.echo(f"runs: {candidate.uses} {arguments} on {shown(candidate.target)}")
    typer.echo(f"risk: {candidate.risk}   probability: {percent(execution.probability)}   runbook: {candidate.runbook}")
    typer.echo(f"decision: {str(decision.verdict).replace('_', ' ')}: {shown(decision.reason)}{policies}")
    if execution.state == "pending" and decision.approvals_needed:
        until = execution.created_at + settings.approval_expires
        typer.echo(
            f"waits until {until:%F %T} UTC for `suture approve {execution.id}` or `suture reject {execution.id}`"
        )
    for line in timeline([*map(_word, approvals), *map(_step, told(execution))]):
        typer.echo(line)
    for check in compared(execution):
        typer.echo(f"  {shown(check)}".replace("`", ""))


@app.command()
def cancel(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="As `suture execution list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with your wish.")] = "",
    data: Data = None,
) -> None:
    """Stop an execution: one that waits at once, one that runs at the next safe place, rolled back where it acted."""
    from models.domain.base import utc_now
    from models.domain.execution import CancelRequest
    from service.cli.state import actor, open_state

    with open_state(data) as state:
        wish = CancelRequest(by=actor(), at=utc_now(), reason=reason)
        execution = state.executions.request_cancel(identifier, wish)
    if execution.state == "cancelled":
        typer.echo(f"cancelled {identifier}: nothing was done")
    else:
        typer.echo(f"{identifier} is {execution.state}; it stops at the next safe place: `suture execution show`")


@app.command()
def request(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="One that was handed over, for example INC-7.")],
    wanted: Annotated[str, typer.Argument(metavar="RUNBOOK/ACTION", help="As `suture runbook list` shows them.")],
    data: Data = None,
) -> None:
    """Ask Suture for one action on an incident that people have; the guard decides on it as on any other."""
    from models.domain.errors import BadInput
    from models.domain.incident import Request
    from service.cli.state import actor, open_state
    from service.corpus import find_action, read_corpus

    runbook, _, action = wanted.partition("/")
    if not action:
        raise BadInput(f"{wanted!r} names no action; write RUNBOOK/ACTION", where="RUNBOOK/ACTION")
    with open_state(data) as state:
        find_action(read_corpus(state.settings).runbooks, runbook, action)
        state.incidents.request(incident, Request(runbook=runbook, action=action, by=actor()))
    typer.echo(f"asked for {wanted} on {incident}; `suture incident show {incident}` tells what becomes of it")


def _word(word: Approval) -> tuple[datetime, str, str]:
    comment = f": {word.comment}" if word.comment else ""
    return word.at, "approved" if word.approved else "rejected", f"by {word.by}{comment}"


def _step(step: StepRecord) -> tuple[datetime, str, str]:
    detail = f": {step.detail}" if step.detail and step.detail != step.state else ""
    return step.at, step.name, f"{step.state}{detail}"
