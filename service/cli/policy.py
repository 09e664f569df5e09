"""`suture policy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from datetime import datetime

    from service.cli.state import State
    from service.guard.policy import Policies
    from service.guard.replay import Recorded, Recordings, Replayed

app = typer.Typer(help="Check policies, explain decisions, try a change before it goes live.", no_args_is_help=True)

_Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[DIR]", help="Folder of Cedar files. [default: SUTURE_POLICIES or the default set]"),
]


@app.command()
def check(folder: _Folder = None, as_json: AsJson = False) -> None:
    """Read and check the policies of a folder; exit 2 with file and line where one is wrong."""
    from service.cli.output import note, print_json, print_table
    from service.settings import load_settings

    policies = _load(folder or load_settings().policies)
    silencing = policies.silencing()
    if as_json:
        print_json(
            [
                {
                    "id": one.id,
                    "effect": one.effect,
                    "approvals": one.approvals,
                    "where": one.where,
                    "always": one.always,
                }
                | {"stops_messages": one.id in silencing}
                for one in policies.all
            ]
        )
        return
    rows = [(one.id, one.effect, one.approvals or "", one.where) for one in policies.all]
    print_table(("id", "effect", "approvals", "where"), rows)
    for name in silencing:
        note(f'{name} may also stop messages to tickets; name Action::"act" in it to mean acts alone')


@app.command()
def explain(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="An execution, or an incident: all its decisions.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show decisions in full: which policies made them, what they were told, what is missing to act alone."""
    from models.domain.errors import NotFound
    from service.cli.output import print_json
    from service.cli.state import open_state

    with open_state(data) as state:
        if identifier.startswith("INC-"):
            found = _recordings(state).of(identifier)
        else:
            incident = state.executions.get(identifier).incident
            found = [one for one in _recordings(state).of(incident) if one.execution == identifier]
        policies = _load(state.settings.policies)
    if not found:
        raise NotFound(f"no decision was made for {identifier} yet")
    if as_json:
        print_json([_explained(one, policies) for one in found])
        return
    for one in found:
        _print_explained(one, policies)


@app.command("test")
def try_change(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of Cedar files to try.")],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Decisions from then on: 7d, 12h, or 2026-03-01.")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Ask the policies of a folder about every recorded decision, and show what would have happened differently."""
    from service.cli.output import note, print_json, print_table
    from service.cli.state import open_state
    from service.guard.replay import replay

    policies, start = _load(folder), _time(since)
    with open_state(data) as state:
        replayed = [replay(policies, recorded) for recorded in _recordings(state).since(start)]
    changed = [one for one in replayed if one.differs]
    summary = _summary(replayed)
    if as_json:
        print_json({"decisions": len(replayed), "changed": [_change(one) for one in changed], "summary": summary})
        return
    if changed:
        print_table(
            ("incident", "execution", "action", "target", "was", "would be", "policies"),
            [_row(_change(one)) for one in changed],
        )
    again = summary["recomputed"]
    note(
        f"{len(replayed)} decisions, {len(changed)} would be different"
        + (f"; {again} by recomputed values" if again else "")
    )


def _load(folder: Path | None) -> Policies:
    from service.guard.policy import load_policies
    from service.registry import verb_catalogue

    return load_policies(folder, verb_catalogue())


def _recordings(state: State) -> Recordings:
    from service.guard.replay import Recordings

    return Recordings(state.incidents, state.executions, state.recommendations)


def _time(text: str | None) -> datetime | None:
    from datetime import UTC, datetime

    from models.domain.base import parse_duration, utc_now
    from models.domain.errors import BadInput

    if text is None:
        return None
    try:
        return utc_now() - parse_duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            f"{text!r} is neither a span such as 7d nor a time such as 2026-03-01", where="--since"
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _explained(one: Recorded, policies: Policies) -> dict[str, Any]:
    texts = {policy.id: policy for policy in policies.all}
    decision = one.decision.model_dump(mode="json", exclude={"context"})
    made_by = [
        {
            "id": name,
            "where": texts[name].where if name in texts else None,
            "text": texts[name].text if name in texts else None,
        }
        for name in one.decision.policies
    ]
    candidate = one.candidate
    return {
        "incident": one.incident,
        "execution": one.execution,
        "candidate": {"runbook": candidate.runbook, "action": candidate.action, "uses": candidate.uses}
        | {"target": candidate.target, "service": candidate.service, "environment": candidate.environment},
        "decision": decision,
        "policies": made_by,
        "context": one.context,
        "recomputed": one.recomputed,
    }


def _print_explained(one: Recorded, policies: Policies) -> None:
    from service.cli.output import shown, wrapped

    decision, texts = one.decision, {policy.id: policy for policy in policies.all}
    typer.echo(f"{one.execution}  {one.incident}  {shown(one.candidate.title)}  {decision.decided_at:%F %T} UTC")
    typer.echo(f"decision: {str(decision.verdict).replace('_', ' ')}: {shown(decision.reason)}")
    for name in decision.policies:
        known = texts.get(name)
        typer.echo(f"policy: {name} ({known.where if known else 'not in the present set'})")
        for line in known.text.splitlines() if known else ():
            typer.echo(f"    {line}")
    for words in decision.missing:
        for line in wrapped(words, "missing: "):
            typer.echo(line)
    told = "told (made anew of what is known of that time):" if one.recomputed else "told:"
    typer.echo(told)
    for name, value in one.context.items():
        typer.echo(f"    {name} = {shown(value)}")
    typer.echo("")


def _change(one: Replayed) -> dict[str, Any]:
    recorded, was, now = one.recorded, one.recorded.decision, one.would_be
    return {
        "incident": recorded.incident,
        "execution": recorded.execution,
        "action": f"{recorded.candidate.runbook}/{recorded.candidate.action}",
        "target": recorded.candidate.target,
        "at": was.decided_at.isoformat(),
        "was": _said(was.verdict, was.approver_role, was.approvers, was.approvals_needed, was.policies, was.reason),
        "would_be": _said(now.verdict, now.role, now.people, now.count, now.policies, now.reason),
        "recomputed": recorded.recomputed,
    }


def _row(change: dict[str, Any]) -> tuple[str, ...]:
    was, would_be = change["was"], change["would_be"]
    names = (change[name] for name in ("incident", "execution", "action", "target"))
    return (*names, _words(was), _words(would_be), ", ".join(would_be["policies"]) or "-")


def _said(
    verdict: str, role: str | None, people: tuple[str, ...], count: int, policies: tuple[str, ...], reason: str
) -> dict[str, Any]:
    return {
        "verdict": str(verdict),
        "approver_role": role and str(role),
        "approvers": people,
        "approvals_needed": count,
        "policies": policies,
        "reason": reason,
    }


def _words(said: dict[str, Any]) -> str:
    if said["verdict"] != "needs_approval":
        return str(said["verdict"])
    return f"{said['approvals_needed']} approval(s) by {said['approver_role'] or ' or '.join(said['approvers'])}"


def _summary(replayed: list[Replayed]) -> dict[str, Any]:
    from collections import Counter

    changes = Counter(f"{one.recorded.decision.verdict} -> {one.would_be.verdict}" for one in replayed if one.differs)
    recomputed = sum(one.recorded.recomputed for one in replayed)
    return {"same": sum(not one.differs for one in replayed), **changes, "recomputed": recomputed}
