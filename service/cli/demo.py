"""`suture demo`: real processes are broken, and the real service is watched while it finds and repairs them."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import SutureError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evals.sandbox.episode import Episode, Event, Stage
    from evals.sandbox.service import RunningService
    from models.domain.execution import Execution

_FAULTS = ("kill_service", "exhaust_connections", "hang_service")
"""Service downtime, database connection failure, and a second downtime that finds the first one's postmortem."""
_TIMES: dict[str, Stage] = {"detect": "seen", "recommend": "found", "mitigate": "done", "verify": "verified"}
"""The columns of the closing table, and the stage at which each clock stops. All start at the injection."""


class DemoFailed(SutureError):
    """An incident of the demo was not resolved."""

    title = "demo failed"


def demo(
    approve: Annotated[bool, typer.Option("--approve", help="Stop before each action and ask you.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option(help=f"Inject this one; repeat it for more. [default: {', '.join(_FAULTS)}]")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Work here and keep it. [default: a temporary folder, kept on failure]")
    ] = None,
    detect_within: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="A fault that is not detected by then ends the demo.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Break a real shop and a real database, and watch Suture detect, recommend, act, verify and learn."""
    from rich.console import Console

    # A termination ends sandbox and service in the same orderly way as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=as_json, highlight=False)
    place = folder or Path(tempfile.mkdtemp(prefix="suture-demo-"))
    episodes = _run(console, place, tuple(fault or _FAULTS), detect_within, approve)
    console.print(_table(episodes))
    if as_json:
        typer.echo(json.dumps(_result(episodes), indent=2))
    failures = [f"{one.title}: {one.failure}" for one in episodes if one.failure]
    if failures:
        raise DemoFailed(f"{'; '.join(failures)} (logs in {place / 'logs'})")
    console.print(f"{len(episodes)} of {len(episodes)} incidents resolved, verified and closed.", style="bold green")
    if folder is None:
        shutil.rmtree(place)


def _run(console: Console, place: Path, faults: tuple[str, ...], detect_within: float, approve: bool) -> list[Episode]:
    """Sandbox and service up, the faults one after the other. Stops after the first that was not resolved."""
    from evals.sandbox.config import write_settings
    from evals.sandbox.episode import Follower
    from evals.sandbox.faults import fault_of
    from evals.sandbox.sandbox import Sandbox
    from evals.sandbox.service import RunningService
    from evals.sandbox.warmup import settle

    console.print(f"Sandbox in {place}: PostgreSQL, a shop, its customers, supervisor …", soft_wrap=True)
    with Sandbox.start(place) as sandbox:
        injections = [fault_of(name, sandbox) for name in faults]
        settings = write_settings(sandbox.layout, modes={"sandbox": "approve" if approve else "auto"})
        console.print("Service: suture serve …")
        with RunningService.start(settings, sandbox.layout.folder) as service:
            console.print(f"Ready at {service.url}. It scrapes the sandbox and learns what is normal …", soft_wrap=True)
            episodes: list[Episode] = []
            for injection in injections:
                with console.status("watching the healthy system"):
                    settle(service, sandbox)
                console.rule(injection.title, align="left")
                follower = Follower(
                    service,
                    injection,
                    lambda e: _show(console, e),
                    lambda e: _ask(console, service, e),
                    detect_within,
                )
                try:
                    episodes.append(follower.run())
                finally:
                    injection.heal()
                if episodes[-1].failure:
                    break
            return episodes


def _show(console: Console, event: Event) -> None:
    """One line a stage, and below it what it rests on. Words from outside are printed as they are, not as markup."""
    from rich.text import Text

    head = Text.assemble(
        (f"{event.seconds:7.1f} s  ", "dim"), (f"{event.stage:<9}", "bold cyan"), _one_line(event.text)
    )
    console.print(head, soft_wrap=True)
    for detail in event.details:
        console.print(Text(f"{'':20}{_one_line(detail)}", style="dim"), soft_wrap=True)


def _ask(console: Console, service: RunningService, execution: Execution) -> bool | None:
    """A person's answer from the terminal; None where there is none to ask, who is told the command instead."""
    candidate = execution.candidate
    question = f"Run {candidate.uses} on {candidate.target} ({execution.probability:.0%}, risk {candidate.risk})?"
    if sys.stdin.isatty():
        return typer.confirm(question, err=console.stderr)
    console.print(f"{question} Answer in another terminal:", markup=False, soft_wrap=True)
    console.print(f"  suture approve {execution.id} --data {service.state_dir}", markup=False, soft_wrap=True)
    return None


def _table(episodes: Iterable[Episode]) -> Table:
    from rich import box
    from rich.table import Table

    # Narrow enough for 80 columns.
    table = Table(title="Seconds from the injection of the fault", title_justify="left", box=box.SIMPLE)
    for column in ("fault", "incident", *_TIMES, "result"):
        table.add_column(column, justify="right" if column in _TIMES else "left", no_wrap=True)
    for one in episodes:
        times = [f"{one.seconds[stage]:.1f}" if stage in one.seconds else "-" for stage in _TIMES.values()]
        result = "[red]failed" if one.failure else "[green]resolved"
        table.add_row(one.fault, one.incident or "-", *times, result)
    return table


def _result(episodes: list[Episode]) -> dict[str, object]:
    return {
        "resolved": all(one.failure is None for one in episodes),
        "episodes": [
            {
                **{name: value for name, value in asdict(one).items() if name != "seconds"},
                "seconds": {name: one.seconds.get(stage) for name, stage in _TIMES.items()},
            }
            for one in episodes
        ],
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())
