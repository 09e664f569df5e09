"""`python -m evals.logs`: what is found in simulated logs, how soon, and how often nothing was there; as JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated

import typer

from evals.bench.figures import machine
from evals.logs.measure import measure


def main(
    seed: Annotated[int, typer.Option(help="Another seed gives other services, rates and lines.")] = 1,
    each: Annotated[int, typer.Option(min=1, help="Failures of each kind.")] = 12,
    days: Annotated[int, typer.Option(min=1, help="Healthy days that are watched, after one of learning.")] = 2,
    rows: Annotated[bool, typer.Option(help="Print each failure too.")] = False,
) -> None:
    """Simulate healthy days and failures of four services; takes some minutes. Progress goes to standard error."""
    began = time.monotonic()
    found = measure(seed, each, days, lambda words: typer.echo(words, err=True))
    injections = found.pop("injections")
    answer = {**found, **({"injections": injections} if rows else {}), "machine": machine()}
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    typer.echo(f"took {time.monotonic() - began:.0f} s", err=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
