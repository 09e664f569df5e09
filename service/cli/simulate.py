"""`suture simulate`: failures of real processes against a set of runbooks, each with the ending that it must have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.domain.errors import BadInput, SutureError
from service.cli.demo import DETECT_SECONDS

if TYPE_CHECKING:
    from evals.sandbox.episode import Episode
    from evals.sandbox.follower import Ask
    from evals.sandbox.scenarios import Scenario
    from evals.sandbox.service import RunningService


class NotAsExpected(SutureError):
    """A scenario did not end as it was to."""

    title = "not as expected"


def simulate(
    scenario: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="exhaust_connections, overload, expired_certificate, bad_release, broken_start, wrong_remedy, "
            "precondition_false, approval_never_comes, or a fault of `suture sandbox`; `all` for these eight. "
            "Repeat it for more.",
        ),
    ],
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Rounds; each begins with a fresh system.")] = 1,
    runbooks: Annotated[
        Path | None,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="Your runbooks, in place of the library."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the customers' arrivals; each round adds one.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Work here and keep it. [default: a temporary folder]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Break real processes and see that each failure ends as it must, with your runbooks or the library's.

    Nobody approves anything. Exits with 0 only if every scenario of every round ended as expected.
    """
    from evals.sandbox.playing import Play
    from evals.sandbox.scenarios import scenarios_of
    from service.cli.stage import told

    scenarios = scenarios_of(scenario)
    settings = _settings(runbooks)
    with told(folder, "suture-sim-", as_json=as_json) as (story, place):
        rounds: list[list[Episode]] = []
        for number in range(1, repeat + 1):
            if repeat > 1:
                story.say(f"Round {number} of {repeat}")
            at = place / f"round-{number}" if repeat > 1 else place
            play = Play(story, at, _nobody, DETECT_SECONDS, settings, seed + number - 1, to_the_end=True)
            rounds.append(play.run(scenarios))
        episodes = [episode for played in rounds for episode in played]
        story.finish(episodes)
        good, of = _score(scenarios, rounds)
        if as_json:
            typer.echo(json.dumps(_result(rounds, good, of), indent=2))
        failures = [f"{one.scenario}: {one.failure}" for one in episodes if one.failure]
        if failures:
            raise NotAsExpected(f"{good} of {of} as expected; {'; '.join(failures)} (logs in {place})")
        story.good(f"{good} of {of} as expected.")


def _nobody(_: RunningService) -> Ask:
    """Whatever is asked, nobody answers."""
    return lambda _: None


def _settings(runbooks: Path | None) -> dict[str, Any]:
    """What the sandbox's settings are to be. Raises BadInput where the folder offers no action."""
    if runbooks is None:
        return {}
    from runbooks.loader import load_corpus

    corpus = load_corpus([runbooks])
    for problem in corpus.problems:
        typer.echo(f"suture: {problem}", err=True)
    if not any(runbook.actions for runbook in corpus.runbooks):
        raise BadInput(f"{runbooks} holds no runbook with an action: `suture runbook lint {runbooks}` says why")
    return {"runbooks": [str(runbooks.resolve())]}


def _score(scenarios: tuple[Scenario, ...], rounds: list[list[Episode]]) -> tuple[int, int]:
    """Scenarios that ended as expected, their follow-ups too, and how many were played."""
    failed = sum(1 for played in rounds for one in played if one.failure)
    of = len(scenarios) * len(rounds)
    return of - failed, of


def _result(rounds: list[list[Episode]], good: int, of: int) -> dict[str, object]:
    from service.cli.stage import facts

    episodes = [facts(one) | {"round": number} for number, played in enumerate(rounds, 1) for one in played]
    return {"as_expected": good, "of": of, "episodes": episodes}
