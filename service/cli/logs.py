"""`suture logs`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, Data

_WIDEST = 200
"""Characters of a template in the table; `--json` has all."""

app = typer.Typer(help="What the logs of services say.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `templates` a command of its own."""


@app.command()
def templates(
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 200,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List the templates of log lines, the most frequent first, as `suture serve` saved them last (every 30 s)."""
    from models.domain.base import utc_now
    from service.cli.output import note, print_json, print_table
    from service.cli.state import open_state
    from service.log_intake import saved_templates
    from service.store.state import DetectorStates

    with open_state(data) as state:
        states = DetectorStates(state.database, utc_now)
        found = saved_templates(states, state.settings.redaction, service)
    if as_json:
        print_json(found[:limit])
        return
    columns = ("service", "environment", "id", "level", "count", "first seen", "last seen", "template")
    print_table(
        columns,
        [
            (
                t.service,
                t.environment,
                t.id,
                t.level,
                t.count,
                f"{t.first_at:%F %T}",
                f"{t.last_at:%F %T}",
                t.template[:_WIDEST],
            )
            for t in found[:limit]
        ],
    )
    if len(found) > limit:
        note(f"{len(found) - limit} more; --limit shows them")
