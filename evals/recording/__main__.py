"""`python -m evals.recording`: plays the sandbox's faults and records each as a labelled incident."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from evals.recording.file import write_topology
from evals.recording.plan import plan
from evals.recording.recorder import Recorder
from evals.recording.subjects import SUBJECTS, subjects_of
from models.domain.errors import BadInput, SutureError


def main(
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON lines; what is there is not recorded again.")],
    count: Annotated[int, typer.Option(min=1, max=9999, help="Incidents that the file is to have of that seed.")] = 64,
    seed: Annotated[int, typer.Option(help="Of every variation.")] = 1,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Only these; repeat it. One of {', '.join(SUBJECTS)}.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=8, help="Sandboxes side by side; one takes half a core.")] = 1,
) -> None:
    """Record labelled incidents: real faults, with variations of load, timing, strength and noise.

    Suture recommends and does not act; each fault is ended by hand. Ctrl-C keeps what was recorded: the same command
    goes on from there. Progress goes to standard error.
    """
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    # A termination ends the sandboxes in the same orderly way as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = record(out, count, seed, fault or [], jobs)
    except KeyboardInterrupt:
        typer.echo("Interrupted; every process was ended. The same command goes on from here.", err=True)
        code = 130
    except SutureError as error:
        typer.echo(f"evals.recording: {error}", err=True)
        code = 2 if isinstance(error, BadInput) else 1
    raise typer.Exit(code)


def record(out: Path, count: int, seed: int, faults: list[str], jobs: int) -> int:
    """The exit code: 0 where the file has all of them, 1 where some could not be recorded."""
    subjects = subjects_of(faults)
    if not out.resolve().parent.is_dir():
        raise BadInput(f"{out.resolve().parent} is no folder; make it first", where="--out")
    recorder = Recorder(out, plan(seed, count, subjects), jobs, lambda line: typer.echo(line, err=True))
    topology = write_topology(out)
    result = recorder.run()
    typer.echo(f"{result.recorded} recorded, {result.had} were there; the topology is in {topology}", err=True)
    for identifier, why in result.missing.items():
        typer.echo(f"missing: {identifier}: {why}", err=True)
    return 1 if result.missing else 0


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
