"""`suture demo`: real processes are broken, and the real service is watched while it finds and repairs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import SutureError

if TYPE_CHECKING:
    from evals.sandbox.episode import Episode
    from evals.sandbox.follower import Ask
    from evals.sandbox.service import RunningService
    from models.domain.execution import Execution
    from service.cli.story import Story

DETECT_SECONDS = 60.0


class DemoFailed(SutureError):
    """An incident of the demo was not resolved."""

    title = "demo failed"


def demo(
    approve: Annotated[bool, typer.Option("--approve", help="Stop before each action and ask you.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Inject this one; repeat it for more: exhaust_connections, overload, expired_certificate, "
            "bad_release, broken_start, kill_service, hang_service, kill_database, or a scenario of `suture simulate`. "
            "[default: the first five]",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Work here and keep it. [default: a temporary folder]")
    ] = None,
    detect_within: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="A fault that is not detected by then ends the demo.")
    ] = DETECT_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Break a real shop and a real database, and watch Suture detect, recommend, act, verify and learn.

    It takes below four minutes and exits with 0 only if every incident ended as it should: resolved, but for scenarios
    of `suture simulate` that are to reach a person.
    """
    from evals.sandbox.playing import Play
    from evals.sandbox.scenarios import FIELD, scenarios_of
    from service.cli.stage import told

    scenarios = scenarios_of(fault) if fault else FIELD
    with told(folder, "suture-demo-", as_json=as_json) as (story, place):
        settings = {"modes": {"sandbox": "approve"}} if approve else {}
        play = Play(story, place, lambda service: _asking(story, service), detect_within, settings)
        episodes = play.run(scenarios)
        story.finish(episodes)
        if as_json:
            typer.echo(json.dumps(_result(episodes), indent=2))
        failures = [f"{one.title}: {one.failure}" for one in episodes if one.failure]
        if failures:
            raise DemoFailed(f"{'; '.join(failures)} (logs in {place / 'logs'})")
        story.good(f"{len(episodes)} of {len(episodes)} faults resolved, verified and closed.")
        if folder is not None:
            story.command(f"Look closer:  suture incident show {episodes[0].incident} --data {place / 'state'}")


def _asking(story: Story, service: RunningService) -> Ask:
    """A person's answer from the terminal; None where there is none to ask, who is told the command instead."""
    from evals.sandbox.telling import probability

    def ask(execution: Execution) -> bool | None:
        candidate = execution.candidate
        sure = f"{probability(execution)}, risk {candidate.risk}"
        question = f"Run {candidate.uses} on {candidate.target} ({sure})?"
        story.wait_no_more()
        if sys.stdin.isatty():
            return typer.confirm(question, err=True)
        story.say(f"{question} Answer in another terminal:")
        story.command(f"  suture approve {execution.id} --data {service.state_dir}")
        return None

    return ask


def _result(episodes: list[Episode]) -> dict[str, object]:
    from service.cli.stage import facts

    return {"resolved": all(one.failure is None for one in episodes), "episodes": [facts(one) for one in episodes]}
