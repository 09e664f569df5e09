"""`suture demo`: real processes are broken, and the real service is watched while it finds and repairs them."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import SutureError

if TYPE_CHECKING:
    from evals.sandbox.episode import Episode
    from evals.sandbox.service import RunningService
    from models.domain.execution import Execution
    from service.cli.story import Story

_FAULTS = ("kill_service", "exhaust_connections", "hang_service")
"""Service downtime, database connection failure, and a second downtime that finds the first one's postmortem."""


class DemoFailed(SutureError):
    """An incident of the demo was not resolved."""

    title = "demo failed"


def demo(
    approve: Annotated[bool, typer.Option("--approve", help="Stop before each action and ask you.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Inject this one; repeat it for more: kill_service, hang_service, kill_database, exhaust_connections. "
            f"[default: {', '.join(_FAULTS)}]",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Work here and keep it. [default: a temporary folder]")
    ] = None,
    detect_within: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="A fault that is not detected by then ends the demo.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Break a real shop and a real database, and watch Suture detect, recommend, act, verify and learn.

    It takes about three minutes and exits with 0 only if every incident was resolved.
    """
    from rich.console import Console

    from service.cli.story import Story

    # A termination ends sandbox and service in the same orderly way as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    faults = _known(fault or _FAULTS)
    console = Console(stderr=as_json, highlight=False)
    story = Story(console)
    place = folder or Path(tempfile.mkdtemp(prefix="suture-demo-"))
    keep = True
    try:
        episodes = _run(story, place, faults, detect_within, approve)
        story.finish(episodes)
        if as_json:
            typer.echo(json.dumps(_result(episodes), indent=2))
        failures = [f"{one.title}: {one.failure}" for one in episodes if one.failure]
        if failures:
            raise DemoFailed(f"{'; '.join(failures)} (logs in {place / 'logs'})")
        console.print(f"{len(episodes)} of {len(episodes)} faults resolved, verified and closed.", style="bold green")
        if folder is not None:
            story.command(f"Look closer:  suture incident show {episodes[0].incident} --data {place / 'state'}")
        keep = folder is not None
    except KeyboardInterrupt:
        story.wait_no_more()
        typer.echo("Interrupted; every process of the demo was ended.", err=True)
        keep = folder is not None
        raise typer.Exit(130) from None
    finally:
        story.wait_no_more()
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


def _known(names: Sequence[str]) -> tuple[str, ...]:
    from evals.sandbox.faults import check_name

    for name in names:
        check_name(name)
    return tuple(names)


def _run(story: Story, place: Path, faults: tuple[str, ...], detect_within: float, approve: bool) -> list[Episode]:
    """Sandbox and service up, the faults one after the other. Stops after the first that was not resolved."""
    from evals.sandbox.config import write_settings
    from evals.sandbox.episode import Follower
    from evals.sandbox.faults import fault_of
    from evals.sandbox.sandbox import Sandbox
    from evals.sandbox.service import RunningService
    from evals.sandbox.warmup import settle

    story.say(f"Sandbox: PostgreSQL, a shop and its customers start in {place} …")
    with Sandbox.start(place) as sandbox:
        injections = [fault_of(name, sandbox) for name in faults]
        settings = write_settings(sandbox.layout, modes={"sandbox": "approve" if approve else "auto"})
        with RunningService.start(settings, sandbox.layout.folder) as service:
            story.say(f"Service: `suture serve` answers at {service.url}.")
            story.say("It scrapes the sandbox every second and learns what is normal: about a minute …")
            episodes: list[Episode] = []
            for injection in injections:
                story.wait_for("watching the healthy system")
                settle(service, sandbox)
                story.wait_no_more()
                story.chapter(injection.title)
                follower = Follower(service, injection, story.show, lambda e: _ask(story, service, e), detect_within)
                try:
                    episodes.append(follower.run())
                finally:
                    injection.heal()
                if episodes[-1].failure:
                    break
            return episodes


def _ask(story: Story, service: RunningService, execution: Execution) -> bool | None:
    """A person's answer from the terminal; None where there is none to ask, who is told the command instead."""
    from evals.sandbox.telling import probability

    candidate = execution.candidate
    sure = f"{probability(execution)}, risk {candidate.risk}"
    question = f"Run {candidate.uses} on {candidate.target} ({sure})?"
    story.wait_no_more()
    if sys.stdin.isatty():
        return typer.confirm(question, err=True)
    story.say(f"{question} Answer in another terminal:")
    story.command(f"  suture approve {execution.id} --data {service.state_dir}")
    return None


def _result(episodes: list[Episode]) -> dict[str, object]:
    from service.cli.story import TIMES

    return {
        "resolved": all(one.failure is None for one in episodes),
        "episodes": [
            {
                **{name: value for name, value in asdict(one).items() if name != "seconds"},
                "seconds": {name: one.seconds.get(stage) for name, stage in TIMES.items()},
            }
            for one in episodes
        ],
    }
