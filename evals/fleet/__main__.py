"""`python -m evals.fleet week|faults`: the fast tier over a simulated fleet. JSON on standard output."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evals.bench.figures import machine
from evals.fleet.faults import run_faults
from evals.fleet.week import run_week

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]


@app.command()
def week(
    series: Annotated[int, typer.Option(min=20, help="How many; twenty a service.")] = 10_000,
    days: Annotated[float, typer.Option(min=0.1, help="Simulated time, at a sample a minute.")] = 7.0,
    seed: Seed = 1,
) -> None:
    """False anomalies and false incidents a day of a healthy fleet, with and without false-discovery control."""
    typer.echo(json.dumps({"machine": machine(), **run_week(series, days, seed)}, indent=2))


@app.command()
def faults(
    count: Annotated[int, typer.Option(min=8, help="How many, of eight kinds in turn.")] = 200, seed: Seed = 1
) -> None:
    """How many injected faults are found, and after how many ticks."""
    typer.echo(json.dumps(run_faults(count, seed), indent=2))


if __name__ == "__main__":
    app()
