"""`python -m evals.bench`: a table of what Suture costs on this machine, or JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from evals.bench.commands import bench_help, bench_recommend, bench_serve
from evals.bench.deep_detection import bench_deep_detection
from evals.bench.detection import bench_detection
from evals.bench.figures import Bench, Figure, machine
from evals.bench.guard import bench_guard
from evals.bench.logs import bench_logs
from evals.bench.retrieval import bench_retrieval
from evals.bench.samples import bench_samples
from evals.bench.storm import bench_storm
from evals.bench.workflow import bench_workflow

BENCHES: Mapping[str, Bench] = {
    "help": bench_help,
    "recommend": bench_recommend,
    "serve": bench_serve,
    "retrieval": bench_retrieval,
    "detection": bench_detection,
    "deep-detection": bench_deep_detection,
    "logs": bench_logs,
    "guard": bench_guard,
    "samples": bench_samples,
    "storm": bench_storm,
    "workflow": bench_workflow,
}


def main(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"One of {', '.join(BENCHES)}; repeat it for more.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what Suture costs here; takes some minutes. Progress goes to standard error."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    if unknown := set(only or ()) - BENCHES.keys():
        raise typer.BadParameter(f"there is no {min(unknown)!r}; it is one of {', '.join(BENCHES)}")
    before = machine()
    results: dict[str, list[Figure]] = {}
    for name in only or BENCHES:
        start = time.monotonic()
        with TemporaryDirectory(prefix="suture-bench-") as folder:
            results[name] = BENCHES[name](Path(folder))
        typer.echo(f"{name}: measured in {time.monotonic() - start:.0f} s", err=True)
    if as_json:
        rows = {name: [{**asdict(one), "ratio": one.ratio} for one in own] for name, own in results.items()}
        typer.echo(json.dumps({"machine": before, "benches": rows}, indent=2))
    else:
        _print(before, results)


def _print(where: Mapping[str, Any], results: Mapping[str, list[Figure]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    for column in ("value", "unit", "peer", "ratio"):
        table.add_column(column, justify="left" if column == "unit" else "right")
    table.add_column("note")
    for own in results.values():
        for one in own:
            peer, ratio = (f"{value:.4g}" if value is not None else "" for value in (one.peer, one.ratio))
            table.add_row(one.name, f"{one.value:,.4g}", one.unit, peer, ratio, one.note)
        table.add_section()
    console = Console(width=120)
    console.print(", ".join(f"{name} {value}" for name, value in where.items()), highlight=False)
    console.print(table, highlight=False)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
