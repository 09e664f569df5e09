"""`suture slo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from models.detection.slo.objective import BurnAlert, Objective
    from service.slo.book import AlertStatus, SloStatus

app = typer.Typer(help="Service level objectives: error budgets, and how fast they burn.", no_args_is_help=True)


@app.command()
def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML of objectives.")], as_json: AsJson = False
) -> None:
    """Read and check a file of objectives; exit 2 with file and line where it is wrong."""
    from service.cli.output import counted, note, print_json, print_table
    from service.slo.file import load_objectives

    objectives = load_objectives(file).slos
    if as_json:
        print_json(objectives)
        return
    rows = [(*_described(one), _alert(alert)) for one in objectives for alert in one.burn_alerts]
    print_table(("id", "service", "objective", "alert"), rows)
    note(f"{counted(len(objectives), 'objective')}, all of them valid")


@app.command()
def status(as_json: AsJson = False, data: Data = None) -> None:
    """Show what is left of each budget, how fast it burns now and when it is gone."""
    from models.domain.base import utc_now
    from service.cli.output import note, print_json, print_table
    from service.cli.state import open_state
    from service.slo.file import slo_book

    with open_state(data) as state:
        if state.settings.slos is None:
            raise BadInput("no objectives are configured; name their file, see docs/slo.md", where="SUTURE_SLOS")
        found = slo_book(state.settings.slos, state.database, utc_now).status()
    if as_json:
        print_json(found)
        return
    print_table(("id", "state", "objective", "budget left", "gone", "burn rates", "measured"), map(_row, found))
    for one in found:
        if one.problem is not None:
            note(f"{one.id}: {one.problem}")
        for alert in one.alerts:
            if alert.too_few:
                note(f"{one.id}: {_burn(alert)} is too fast, by too few events to say so (low_traffic)")


def _row(one: SloStatus) -> tuple[object, ...]:
    from models.domain.base import format_duration

    left = "-" if one.budget_left is None else f"{one.budget_left:.1%}"
    gone = (
        "missed" if (one.budget_left or 0) < 0 else "-" if one.exhausted_at is None else f"{one.exhausted_at:%F %H:%M}"
    )
    objective = f"{one.target * 100:.6g}% of {format_duration(one.window)}"
    return one.id, one.state, objective, left, gone, "; ".join(map(_burn, one.alerts)), f"{one.measured:.0%} of window"


def _burn(alert: AlertStatus) -> str:
    from models.domain.base import format_duration

    rates = "/".join("-" if rate is None else f"{rate:.3g}" for rate in (alert.burn_long, alert.burn_short))
    return f"{format_duration(alert.long)}/{format_duration(alert.short)} {rates} of {alert.factor:.3g}"


def _described(objective: Objective) -> tuple[str, str, str]:
    from models.domain.base import format_duration

    kind = "availability"
    if objective.latency is not None:
        kind = f"latency up to {objective.latency.threshold:g}"
    return (
        objective.id,
        objective.service,
        f"{objective.target * 100:.6g}% {kind} over {format_duration(objective.window)}",
    )


def _alert(alert: BurnAlert) -> str:
    from models.domain.base import format_duration

    kind = "page" if alert.page else "ticket"
    return f"{kind} at {alert.factor:.3g} over {format_duration(alert.long)} and {format_duration(alert.short)}"
