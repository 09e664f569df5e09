"""`suture kill-switch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(help="Stop new executions at once, on every replica.", no_args_is_help=True)


@app.command()
def on(data: Data = None) -> None:
    """Stop new executions."""
    _turn(True, data)


@app.command()
def off(data: Data = None) -> None:
    """Allow new executions again."""
    _turn(False, data)


@app.command()
def status(as_json: AsJson = False, data: Data = None) -> None:
    """Say whether it is on."""
    from service.cli.output import print_json
    from service.cli.state import open_state

    with open_state(data) as state:
        is_on = state.kill_switch.is_on()
    if as_json:
        print_json({"on": is_on})
    else:
        typer.echo(f"the kill switch is {'on' if is_on else 'off'}")


def _turn(wanted: bool, data: Path | None) -> None:
    from service.cli.state import actor, open_state

    with open_state(data) as state:
        if state.kill_switch.is_on() is not wanted:
            state.kill_switch.turn(wanted, actor())
    typer.echo(f"the kill switch is {'on' if wanted else 'off'}")
