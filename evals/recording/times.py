"""`python -m evals.recording.times FILE`: from the fault to the recommendation, by fault, of recorded incidents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import typer

from evals.incidents.format import LabelledIncident
from evals.incidents.loading import load_incidents
from models.domain.errors import BadInput


class Times(NamedTuple):
    """Seconds from the injection of a fault, or from the sending of an alert, to the recommendation."""

    fault: str
    n: int
    least: float
    median: float
    most: float


def times_of(rows: Sequence[LabelledIncident]) -> list[Times]:
    """By fault. Raises BadInput where no row was recorded in the sandbox."""
    seconds: dict[str, list[float]] = {}
    for row in rows:
        told = (row.variant or {}).get("seconds_to_recommendation")
        if isinstance(told, int | float):
            seconds.setdefault(str((row.variant or {})["fault"]), []).append(float(told))
    if not seconds:
        raise BadInput("no incident in it says how long its recommendation took; evals.recording makes such")
    return [Times(fault, len(held), min(held), median(held), max(held)) for fault, held in sorted(seconds.items())]


def main(file: Annotated[Path, typer.Argument(metavar="FILE", help="As evals.recording writes it.")]) -> None:
    """Print how long the recommendation took after each fault."""
    try:
        found = times_of(load_incidents(file))
    except BadInput as error:
        typer.echo(f"evals.recording.times: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{'fault':28}{'n':>4}{'least':>8}{'median':>8}{'most':>8}  s")
    for one in found:
        typer.echo(f"{one.fault:28}{one.n:4}{one.least:8.1f}{one.median:8.1f}{one.most:8.1f}")


if __name__ == "__main__":
    typer.run(main)
