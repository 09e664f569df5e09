"""`suture autonomy`, and `suture incident action-taken`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from service.cli.state import State
    from service.guard.autonomy import Levels
    from service.guard.ladder import ActionAutonomy
    from service.store.autonomy import Place

app = typer.Typer(help="How far Suture may go with each action, and what it has earned.", no_args_is_help=True)

_Action = Annotated[str, typer.Argument(metavar="RUNBOOK/ACTION", help="For example service-down/restart.")]
_Environment = Annotated[str, typer.Option(help="Where: an action has a level in each environment.")]


@app.command("list")
def list_levels(
    environment: Annotated[str | None, typer.Option(help="Only of this environment.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List the actions of which anything is known; all others are where actions begin."""
    from service.cli.output import note, print_json, print_table
    from service.cli.state import open_state

    with open_state(data) as state:
        found = levels_of(state).looks(environment)
        start = state.settings.autonomy.start
    if as_json:
        print_json(found)
        return
    columns = ("action", "environment", "level", "holds", "verified", "agreed", "missing to the next level")
    print_table(columns, [_row(each) for each in found])
    note(f"all others begin at {start}")


@app.command()
def show(name: _Action, environment: _Environment, as_json: AsJson = False, data: Data = None) -> None:
    """Show one action's level in an environment, the evidence since its last change, and what is missing."""
    from service.cli.output import print_json
    from service.cli.state import open_state

    with open_state(data) as state:
        levels, place = levels_of(state), _place(state, name, environment)
        found = levels.look(place)
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        typer.echo(line)


@app.command("set")
def set_level(
    name: _Action,
    level: Annotated[str, typer.Argument(metavar="LEVEL", help="observe, suggest, approve or auto.")],
    environment: _Environment,
    reason: Annotated[str, typer.Option(help="Why; kept with the level and in the audit log.")],
    data: Data = None,
) -> None:
    """Give an action a level by your word, in place of what it has earned. What counts begins anew."""
    from models.domain.execution import Mode
    from service.cli.parsing import one_of
    from service.cli.state import actor, open_state

    chosen = one_of(Mode, level, "LEVEL")
    if not reason.strip():
        raise BadInput("say why", where="--reason")
    with open_state(data) as state:
        levels, place = levels_of(state), _place(state, name, environment)
        found = levels.set(place, chosen, reason, actor())
    typer.echo(f"{place} is at {found.level}")


def action_taken(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="For example INC-7.")],
    action: Annotated[
        str, typer.Argument(metavar="RUNBOOK/ACTION|other", help="A candidate of the recommendation, or other.")
    ],
    comment: Annotated[str, typer.Option(help="What you did, in your words.")] = "",
    data: Data = None,
) -> None:
    """Say what you did on an incident where Suture did not act: it is compared with what Suture would have done."""
    from models.domain.base import utc_now
    from service.cli.state import actor, open_state
    from service.guard.shadows import Shadows

    with open_state(data) as state:
        shadows = Shadows(
            levels_of(state), state.incidents, state.executions, state.recommendations, state.settings, utc_now
        )
        shadow = shadows.taken(identifier, action, actor(), comment)
    choice = f"{shadow.runbook}/{shadow.action}"
    said = "as Suture would have" if shadow.agreed else f"Suture would have begun with {choice}"
    typer.echo(f"{identifier}: {action}; {said}")


def levels_of(state: State) -> Levels:
    """What actions have earned."""
    from models.domain.base import utc_now
    from service.guard.autonomy import Levels
    from service.store.autonomy import Autonomies

    store = Autonomies(state.database, state.audit)
    return Levels(store, state.executions, state.incidents, state.settings, utc_now)


def _place(state: State, name: str, environment: str) -> Place:
    from service.corpus import read_corpus
    from service.store.autonomy import Place

    runbook, _, action = name.partition("/")
    if not runbook or not action:
        raise BadInput(f"{name!r} is not of the form RUNBOOK/ACTION", where="RUNBOOK/ACTION")
    place = Place(runbook, action, environment)
    levels_of(state).require(place, read_corpus(state.settings).runbooks)
    return place


def _row(found: ActionAutonomy) -> tuple[str, ...]:
    return (
        f"{found.runbook}/{found.action}",
        found.environment,
        found.level,
        found.effective,
        f"{found.verified} of {found.verified + found.failed}",
        f"{found.agreed} of {found.agreed + found.disagreed}",
        found.missing or "-",
    )


def _lines(found: ActionAutonomy) -> list[str]:
    from service.cli.output import counted, shown, wrapped
    from service.guard.ladder import bounds
    from service.guard.record import SuccessRecord

    since = f" since {found.since:%F %T} UTC" if found.since else ""
    lines = [
        f"{found.runbook}/{found.action} in {shown(found.environment)}",
        *wrapped(f"{found.level}{since}, by {found.by}: {found.reason}", "level:    "),
        f"holds:    {found.effective}; the mode of the environment is {found.ceiling}",
        f"executed: {found.verified} verified healthy, {found.failed} not",
        f"people:   agreed {counted(found.agreed, 'time')}, disagreed {counted(found.disagreed, 'time')}",
    ]
    if found.following:
        record = SuccessRecord(found.successes, found.trials)
        lines += wrapped(bounds(record, found.bar), "counted:  ")
        lines += wrapped(found.missing, f"to {found.following}:".ljust(10))
    elif found.missing:
        lines += wrapped(found.missing, "but:      ")
    return lines
