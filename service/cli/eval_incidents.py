"""`suture eval incidents`, `convert`, `compare` and `schema`: evaluation on an organisation's own history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.eval_bars import FailOver, FailUnder, check_bars, clear_bars, print_figures
from service.cli.labelled import Books, MapFile
from service.cli.options import AsJson

_File = Annotated[Path, typer.Argument(metavar="FILE", help="Labelled incidents as JSONL, or with --map an export.")]


def incidents(
    file: _File,
    runbooks: Books = None,
    map_file: MapFile = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Ask this language model too.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write incidents.json and report.html there.")
    ] = None,
    fail_under: FailUnder = None,
    fail_over: FailOver = None,
    as_json: AsJson = False,
) -> None:
    """Recommend for each incident of the past, without executing anything, and compare with what was right."""
    from tempfile import TemporaryDirectory

    from evals.incidents.run import run_incidents
    from service.cli.labelled import labelled_rows, settings_for
    from service.cli.output import note

    check_bars(fail_under, fail_over)
    rows = labelled_rows(file, map_file)
    with TemporaryDirectory(prefix="suture-") as state:
        settings = settings_for(file, runbooks, model, Path(state))
        note(f"{len(rows)} incidents …")
        report = {"file": str(file), **run_incidents(rows, settings, note)}
    if out is not None:
        command = f"suture eval incidents {file} --out {out}"
        _write(report, out, command)
    print_figures(report, as_json)
    if not as_json:
        for words in report["notes"]:
            note(words)
    clear_bars(report, fail_under, fail_over)


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The export.")],
    map_file: Annotated[Path, typer.Option("--map", metavar="FILE", help="What its columns are.")],
) -> None:
    """Print an export as labelled incidents, one JSON object a line: to look at, or to keep."""
    from service.cli.labelled import labelled_rows

    for row in labelled_rows(file, map_file):
        typer.echo(row.model_dump_json(exclude_defaults=True))


def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="What `suture eval … --json` printed.")],
    second: Annotated[Path, typer.Argument(metavar="B.json", help="The same of another run over the same rows.")],
    as_json: AsJson = False,
) -> None:
    """Say whether B is better than A, by tests of pairs: the same incidents stand in both."""
    from evals.comparison import compare_runs, read_run
    from service.cli.output import note, print_json, print_table

    found = compare_runs(read_run(first), read_run(second))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["figure"],
            f"{one['first']:.4f}",
            f"{one['second']:.4f}",
            f"{one['difference']:+.4f}",
            f"{one['interval'][0]:+.3f} to {one['interval'][1]:+.3f}",
            f"{one['p_value']:.3g} ({one['test']})",
        )
        for one in found["figures"]
    ]
    print_table(("figure", "A", "B", "B - A", "95 % interval", "p-value"), rows)
    note(found["summary"])


def schema() -> None:
    """Print the JSON Schema of labelled incidents, one line of a file."""
    from evals.incidents.format import schema_text

    typer.echo(schema_text(), nl=False)


def _write(report: dict[str, Any], out: Path, command: str) -> None:
    import json

    from evals.reporting.incidents import incidents_section
    from evals.reporting.machine import surroundings
    from evals.reporting.page import render
    from service.cli.output import note

    out.mkdir(parents=True, exist_ok=True)
    section = incidents_section(report, f"Incidents of {report['file']}", command)
    page = render([section], {}, surroundings(), title="Suture on past incidents", command=command)
    (out / "incidents.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "report.html").write_text(page, encoding="utf-8")
    note(f"written: {out / 'incidents.json'}, {out / 'report.html'}")
