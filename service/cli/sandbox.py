"""`suture sandbox`: the demo's sandbox by hand: start it, break it, look at it."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Real processes to break: a database, a shop, its front door, its customers.", no_args_is_help=True
)
_FOLDER = Path("suture-sandbox")
Folder = Annotated[Path, typer.Option(help="The sandbox's folder.")]
Name = Annotated[
    str,
    typer.Argument(
        help="kill_service, hang_service, kill_database, exhaust_connections, overload, broken_start, bad_release, "
        "expired_certificate or wrong_remedy."
    ),
]


@app.command()
def up(folder: Folder = _FOLDER) -> None:
    """Start it, and run until Ctrl-C. The folder must not hold a sandbox yet."""
    from evals.sandbox.config import write_settings
    from evals.sandbox.layout import HOST, SERVER_NAME
    from evals.sandbox.sandbox import Sandbox

    # A termination ends it in the same orderly way as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Sandbox.start(folder) as sandbox:
        settings = write_settings(sandbox.layout)
        certificate = sandbox.layout.authority[0]
        door = sandbox.layout.front_door.replace(HOST, SERVER_NAME)
        typer.echo(f"Be a customer with:  curl --cacert {certificate} {door}/products", err=True)
        typer.echo(f"Watch it with:  SUTURE_CONFIG={settings} suture serve", err=True)
        typer.echo(f"Break it with:  suture sandbox fault NAME --folder {folder}", err=True)
        typer.echo("Ctrl-C ends it.", err=True)
        signal.pause()


@app.command()
def fault(
    name: Name,
    folder: Folder = _FOLDER,
) -> None:
    """Inject a fault. Nothing is told to Suture."""
    from evals.sandbox.faults import fault_of
    from evals.sandbox.sandbox import Sandbox

    injected = fault_of(name, Sandbox.attach(folder))
    injected.inject()
    cured = f"cured by {' or '.join(injected.cures)}" if injected.cures else "cured by nothing that Suture may do"
    typer.echo(f"{injected.title}. It is {cured}.", err=True)
    typer.echo(f"Mend it by hand with:  suture sandbox heal {name} --folder {folder}", err=True)


@app.command()
def heal(name: Name, folder: Folder = _FOLDER) -> None:
    """Undo a fault without Suture, and what is left of its cure. Harmless where all is well."""
    from evals.sandbox.faults import fault_of
    from evals.sandbox.sandbox import Sandbox

    fault_of(name, Sandbox.attach(folder)).heal()


@app.command()
def status(folder: Folder = _FOLDER) -> None:
    """One line a program: its name, state and process id."""
    from evals.sandbox.layout import PROGRAMS
    from evals.sandbox.sandbox import Sandbox

    sandbox = Sandbox.attach(folder)
    for program in PROGRAMS:
        process = sandbox.supervisor.process(program)
        typer.echo(f"{process.name:<12} {process.state:<9} {process.pid or '-'}")
