"""`suture eval`: offline evaluation on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from models.domain.errors import BadInput
from service.cli import eval_incidents
from service.cli.eval_bars import print_figures
from service.cli.options import AsJson

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
    as_json: AsJson = False,
) -> None:
    """Find the runbook of each labelled alert."""
    from evals.retrieval import run_retrieval

    print_figures(run_retrieval(alerts, runbooks, mode), as_json)  # type: ignore[arg-type]  # it checks the mode itself


@app.command()
def ranking(
    incidents: Annotated[Path, typer.Option(metavar="FILE", help="Labelled incidents as JSONL.")],
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Also measure this language model.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank remediations for each labelled incident."""
    from evals.ranking import run_ranking

    print_figures(run_ranking(incidents, model), as_json)


@app.command()
def culprit(
    petshop: Annotated[Path, typer.Option(metavar="DIR", help="A copy of PetShop.")], as_json: AsJson = False
) -> None:
    """Name the origin of each labelled issue."""
    from evals.culprit import run_culprit

    print_figures(run_culprit(petshop), as_json)


@app.command("all")
def everything(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report and the scores go.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The labelled data. [default: SUTURE_DATA or ../shared/data]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run every suite whose data is there, and write one HTML report with plots."""
    from evals.report import figures, render
    from evals.suites import SUITES, data_folder
    from service.cli.output import note, print_json

    folder = data or data_folder()
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    for suite in SUITES:
        if missing := suite.missing(folder):
            skipped[suite.name] = f"{folder} has no {', '.join(missing)}"
            continue
        note(f"running {suite.name} …")
        results[suite.name] = suite.run(folder, out)
    if not results:
        raise BadInput(f"{folder} has the data of no suite; name the folder with --data or SUTURE_DATA")
    report = out / "report.html"
    report.write_text(render(results, skipped, title="Suture: evaluation"), encoding="utf-8")
    if as_json:
        print_json({"report": str(report), "results": results, "skipped": skipped})
        return
    for name, result in results.items():
        typer.echo(f"{name}: " + "  ".join(f"{key} {value:g}" for key, value in figures(result).items()))
    for name, reason in skipped.items():
        typer.echo(f"{name}: not run: {reason}")
    typer.echo(f"report: {report}")


for command in (eval_incidents.incidents, eval_incidents.convert, eval_incidents.compare, eval_incidents.schema):
    app.command()(command)
