"""`suture recommend`: an incident file in, a recommendation out; nothing is executed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from models.domain.execution import Mode, Outcome
    from models.domain.incident import Incident
    from models.domain.recommendation import Candidate
    from service.contract import RecommendationView
    from service.guard.record import SuccessRecord
    from service.guard.surroundings import Levels, Outcomes, Switch
    from service.language.ledger import Ledger
    from service.settings import Settings


def recommend(
    incident: Annotated[str, typer.Option(metavar="FILE", help="The incident as JSON; - reads standard input.")],
    runbooks: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Folder of runbooks; repeat it for more.")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Recommend for one incident, without a running service and without executing anything.

    With --data, its past incidents, kill switch and postmortems count; without, a throw-away state is used.
    """
    from models.domain.base import utc_now
    from service.cli.output import print_json
    from service.cli.recommended import lines
    from service.contract import read_incident
    from service.settings import load_settings
    from service.telemetry import configure_logging

    settings = load_settings(state_dir=data, runbooks=_folders(runbooks))
    configure_logging("warning", settings.log_format)
    text, where = _read(incident)
    asked = read_incident(text, where=where, now=utc_now())
    answer = _with_state(settings, asked) if data is not None else _without_state(settings, asked)
    if as_json:
        print_json(answer)
    else:
        for line in lines(answer):
            typer.echo(line)


def _with_state(settings: Settings, incident: Incident) -> RecommendationView:
    from service.cli.autonomy import levels_of
    from service.cli.state import open_ledger, repositories

    with repositories(settings) as state:
        ledger = open_ledger(state) if settings.model else None
        return _answer(settings, incident, state.kill_switch, state.executions, levels_of(state), ledger)


def _without_state(settings: Settings, incident: Incident) -> RecommendationView:
    """No database is opened: its modules and its making would take as long as the recommendation."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="suture-") as folder:
        passing = settings.model_copy(update={"state_dir": Path(folder), "database_url": None})
        nothing = _Nothing(passing)
        return _answer(passing, incident, nothing, nothing, nothing)


class _Nothing:
    """The kill switch, executions and levels of an installation in which nothing happened yet."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def level(self, candidate: Candidate) -> Mode:
        return self._settings.autonomy.start_in(candidate.environment)

    def record(self, candidate: Candidate) -> SuccessRecord:
        return self.earned(candidate)[1]

    def earned(self, candidate: Candidate) -> tuple[Mode, SuccessRecord]:
        from service.guard.record import SuccessRecord

        return self.level(candidate), SuccessRecord(0, 0)

    def is_on(self) -> bool:
        return False

    def outcomes(self, runbook: str, action: str, environment: str | None) -> list[Outcome]:  # noqa: ARG002
        return []


def _answer(
    settings: Settings,
    incident: Incident,
    switch: Switch,
    outcomes: Outcomes,
    levels: Levels,
    ledger: Ledger | None = None,
) -> RecommendationView:
    from models.domain.base import utc_now
    from service.contract import view
    from service.guard.guard import Guard
    from service.guard.policy import load_policies
    from service.recommender import build_recommender
    from service.registry import verb_catalogue

    policies = load_policies(settings.policies, verb_catalogue())
    guard = Guard(policies, settings, switch, outcomes, utc_now, autonomy=levels)
    pipeline = build_recommender(settings, ledger=ledger)
    recommendation = pipeline.recommend(incident)
    decisions = {ranked.candidate.hash: guard.decide(ranked) for ranked in recommendation.candidates}
    return view(pipeline.locate(incident), recommendation, decisions)


def _folders(given: list[Path] | None) -> tuple[Path, ...] | None:
    for folder in given or ():
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder", where="--runbooks")
    return tuple(given) if given else None


def _read(incident: str) -> tuple[str, str]:
    try:
        raw = sys.stdin.buffer.read() if incident == "-" else Path(incident).read_bytes()
        return raw.decode("utf-8-sig"), "standard input" if incident == "-" else incident
    except OSError as error:
        raise BadInput(f"{incident} cannot be read: {error.strerror}", where="--incident") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{incident} is not UTF-8 text: byte {error.start}", where="--incident") from error
