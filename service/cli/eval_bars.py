"""What the commands of `suture eval` share: bars to clear, and printing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

FailUnder = Annotated[
    list[str] | None,
    typer.Option("--fail-under", metavar="METRIC=VALUE", help="Exit with 1 where a figure is lower; repeatable."),
]
FailOver = Annotated[
    list[str] | None,
    typer.Option("--fail-over", metavar="METRIC=VALUE", help="Exit with 1 where a figure is higher; repeatable."),
]


def check_bars(under: Sequence[str] | None, over: Sequence[str] | None) -> None:
    """Raises BadInput for a bar that is not written well: before the run, which may take minutes."""
    from evals.thresholds import read_bars

    read_bars(under or (), over or ())


def clear_bars(report: dict[str, Any], under: Sequence[str] | None, over: Sequence[str] | None) -> None:
    """Says on standard error which figures failed their bars, and exits with 1 where one did."""
    from evals.thresholds import read_bars
    from service.cli.output import note

    failures = [words for bar in read_bars(under or (), over or ()) if (words := bar.failure(report))]
    for words in failures:
        note(f"suture: {words}")
    if failures:
        raise typer.Exit(1)


def print_figures(result: dict[str, Any], as_json: bool) -> None:
    """The whole result as JSON, or its plain numbers as a table."""
    from evals.thresholds import numbers
    from service.cli.output import print_json, print_table

    if as_json:
        print_json(result)
        return
    of = result.get("intervals", {}).get("of", {})
    rows = [(name, f"{value:g}", _interval(of.get(name))) for name, value in numbers(result)]
    if any(each[2] for each in rows):
        print_table(("figure", "value", "95 % interval"), rows)
    else:
        print_table(("figure", "value"), [each[:2] for each in rows])


def _interval(bounds: Sequence[float] | None) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else ""
