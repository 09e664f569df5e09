"""`suture eval`: offline evaluation on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.domain.errors import BadInput
from service.cli import eval_incidents
from service.cli.eval_bars import FailOver, FailUnder, check_bars, clear_bars, print_figures
from service.cli.labelled import Books
from service.cli.options import AsJson

if TYPE_CHECKING:
    from evals.suites import Suite

app = typer.Typer(help="Evaluate on labelled data, offline.", no_args_is_help=True)


@app.command()
def detection(
    nab: Annotated[Path, typer.Option(metavar="DIR", help="A copy of NAB: DIR/data/<category>/<file>.csv.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the scores go.")],
    as_json: AsJson = False,
) -> None:
    """Score every file of NAB; its own scorer then says how well."""
    from evals.detection import run_detection

    print_figures(run_detection(nab, out), as_json)


@app.command()
def retrieval(
    alerts: Annotated[Path, typer.Option(metavar="FILE", help="Alerts as JSONL, with `gold_runbook`.")],
    runbooks: Annotated[Path, typer.Option(metavar="DIR", help="The runbooks that they name.")],
    mode: Annotated[str, typer.Option(help="What is asked with: name, desc or expr.")] = "name",
    fail_under: FailUnder = None,
    fail_over: FailOver = None,
    as_json: AsJson = False,
) -> None:
    """Find the runbook of each labelled alert."""
    from evals.retrieval import run_retrieval

    check_bars(fail_under, fail_over)
    found = run_retrieval(alerts, runbooks, mode)  # type: ignore[arg-type]  # it checks the mode itself
    print_figures(found, as_json)
    clear_bars(found, fail_under, fail_over)


@app.command()
def ranking(
    incidents: Annotated[Path, typer.Option(metavar="FILE", help="Labelled incidents as JSONL.")],
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Also measure this language model.")] = None,
    fail_under: FailUnder = None,
    fail_over: FailOver = None,
    as_json: AsJson = False,
) -> None:
    """Rank remediations for each labelled incident."""
    from evals.ranking import run_ranking

    check_bars(fail_under, fail_over)
    found = run_ranking(incidents, model)
    print_figures(found, as_json)
    clear_bars(found, fail_under, fail_over)


@app.command()
def culprit(
    petshop: Annotated[Path | None, typer.Option(metavar="DIR", help="A copy of PetShop.")] = None,
    simulate: Annotated[bool, typer.Option(help="Simulated faults over random service graphs, in its place.")] = False,
    fail_under: FailUnder = None,
    fail_over: FailOver = None,
    as_json: AsJson = False,
) -> None:
    """Name the origin of each labelled issue."""
    from evals.culprit import run_culprit
    from evals.culprits.simulated import run_simulated
    from models.domain.errors import BadInput

    check_bars(fail_under, fail_over)
    if simulate is (petshop is not None):
        raise BadInput("give either --petshop DIR or --simulate", where="suture eval culprit")
    found = run_culprit(petshop) if petshop is not None else run_simulated()
    print_figures(found, as_json)
    clear_bars(found, fail_under, fail_over)


@app.command("all")
def everything(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report and the scores go.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The labelled data. [default: SUTURE_DATA or ../shared/data]")
    ] = None,
    incidents: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Labelled incidents of yours, in place of the sandbox's; repeatable."),
    ] = None,
    runbooks: Books = None,
    as_json: AsJson = False,
) -> None:
    """Run every suite whose data is there, and write one HTML report with plots."""
    from evals.reporting.machine import surroundings
    from evals.reporting.page import render
    from evals.suites import data_folder, sections, suites
    from evals.thresholds import numbers
    from service.cli.output import note, print_json

    folder = data or data_folder()
    for file in incidents or ():
        if not file.is_file():
            raise BadInput(f"{file} is not a file", where="--incidents")
    chosen = suites(folder, incidents or (), runbooks or ())
    # The sample of the checkout is always there: it alone is not what somebody wants who names a folder.
    if all(suite.missing() for suite in (chosen[1:] if data and not incidents else chosen)):
        raise BadInput(f"{folder} has the data of no suite; name the folder with --data or SUTURE_DATA")
    out.mkdir(parents=True, exist_ok=True)
    results, skipped = _run_all(chosen, out)
    report = out / "report.html"
    page = render(
        sections(results, chosen),
        skipped,
        surroundings(),
        title="Suture: how good are its recommendations?",
        command=f"suture eval all --out {out}" + (f" --data {data}" if data else ""),
    )
    report.write_text(page, encoding="utf-8")
    if as_json:
        print_json({"report": str(report), "results": results, "skipped": skipped})
        return
    for name, result in results.items():
        typer.echo(f"{name}: " + "  ".join(f"{key} {value:g}" for key, value in numbers(result)))
    for name, reason in skipped.items():
        typer.echo(f"{name}: not run: {reason}")
    note(f"report: {report}")


def _run_all(chosen: Sequence[Suite], out: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Results by suite, and why the others were not run."""
    from service.cli.output import note

    results: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    for suite in chosen:
        if missing := suite.missing():
            skipped[suite.name] = f"there is no {', no '.join(missing)}"
            continue
        note(f"running {suite.name} …")
        results[suite.name] = suite.run(out)
    return results, skipped


for command in (eval_incidents.incidents, eval_incidents.convert, eval_incidents.compare, eval_incidents.schema):
    app.command()(command)
