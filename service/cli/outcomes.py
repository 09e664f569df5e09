"""`suture execution outcomes`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, Data


def outcomes(
    runbook: Annotated[str | None, typer.Option(help="Only of this runbook.")] = None,
    environment: Annotated[str | None, typer.Option(help="Only in this environment.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show how often each action helped in each environment: what ranking and autonomy go by."""
    from service.cli.output import print_json, print_table
    from service.cli.state import open_state
    from service.reporting.track_records import track_records
    from service.store.outcomes import Outcomes

    with open_state(data) as state:
        found = track_records(Outcomes(state.database).all(runbook=runbook, environment=environment))
    if as_json:
        print_json(found)
        return
    columns = (
        "action", "environment", "runs", "verified", "failed", "rolled back", "uncertain", "lower bound", "last run",
    )  # fmt: skip
    print_table(
        columns,
        [
            (
                f"{each.runbook}/{each.action}", each.environment, each.runs, each.verified, each.failed,
                each.rolled_back, each.uncertain, f"{each.lower_bound:.2f}", f"{each.last_at:%F %T}",
            )
            for each in found
        ],
    )  # fmt: skip
