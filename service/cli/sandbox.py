"""`suture sandbox`: the demo's sandbox by hand: start it, break it, look at it."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Real processes to break: PostgreSQL, a shop, its customers.", no_args_is_help=True)
_FOLDER = Path("suture-sandbox")
Folder = Annotated[Path, typer.Option(help="The sandbox's folder.")]


@app.command()
def up(folder: Folder = _FOLDER) -> None:
    """Start it, and run until Ctrl-C. The folder must not hold a sandbox yet."""
    from evals.sandbox.config import write_settings
    from evals.sandbox.sandbox import Sandbox

    # A termination ends it in the same orderly way as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Sandbox.start(folder) as sandbox:
        settings = write_settings(sandbox.layout)
        typer.echo(f"The shop serves its customers at {sandbox.layout.url('shop', '/products')}", err=True)
        typer.echo(f"Watch it with:  SUTURE_CONFIG={settings} suture serve", err=True)
        typer.echo(f"Break it with:  suture sandbox fault NAME --folder {folder}", err=True)
        typer.echo("Ctrl-C ends it.", err=True)
        signal.pause()


@app.command()
def fault(
    name: Annotated[str, typer.Argument(help="kill_service, hang_service, kill_database or exhaust_connections.")],
    folder: Folder = _FOLDER,
) -> None:
    """Inject a fault. Nothing is told to Suture."""
    from evals.sandbox.faults import fault_of
    from evals.sandbox.sandbox import Sandbox

    injected = fault_of(name, Sandbox.attach(folder))
    injected.inject()
    typer.echo(f"{injected.title}. It is cured when {injected.process} was restarted.", err=True)


@app.command()
def status(folder: Folder = _FOLDER) -> None:
    """One line a program: its name, state and process id."""
    from evals.sandbox.layout import PROGRAMS
    from evals.sandbox.sandbox import Sandbox

    sandbox = Sandbox.attach(folder)
    for program in PROGRAMS:
        process = sandbox.supervisor.process(program)
        typer.echo(f"{process.name:<12} {process.state:<9} {process.pid or '-'}")
