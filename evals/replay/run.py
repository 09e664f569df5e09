"""`suture replay`: the parts, and the incidents through them in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evals.incidents.format import LabelledIncident
from evals.incidents.past import Past
from evals.replay.case import Case, case_of
from evals.replay.flow import Shadow, Shadowed
from evals.replay.levels import EarnedLevels, GivenLevels
from evals.replay.limits import ShadowLimits
from evals.replay.own import Before, Then, own_cases
from evals.replay.report import headline, report
from models.domain.execution import Mode
from models.domain.incident import Incident
from service.guard.guard import Guard
from service.guard.policy import load_policies
from service.guard.replay import ExecutionStore, IncidentStore, RecommendationStore
from service.guard.surroundings import Levels, Outcomes
from service.pipeline import Pipeline
from service.ports import SampleReader, Source
from service.recommender import build_recommender
from service.registry import verb_catalogue
from service.settings import Settings


@dataclass(frozen=True)
class Asked:
    """What the replay supposes."""

    level: Mode | None = None
    """Every action as if it had earned this; None: levels are earned on the way, or given by `present`."""
    present: Levels | None = None
    """The levels of an installation as they are now."""
    assume_preconditions: bool = False
    """Those of which nothing was recorded are taken to have held."""


@dataclass(frozen=True)
class Installation:
    """Where own incidents are read from."""

    incidents: IncidentStore
    executions: ExecutionStore
    recommendations: RecommendationStore
    outcomes: Outcomes
    source: Source
    samples: SampleReader | None
    """The embedded samples, where the source answers from them."""


class _Never:
    """A kill switch that is off and outcomes of which there are none: the replay begins with nothing."""

    def is_on(self) -> bool:
        return False

    def outcomes(self, runbook: str, action: str, environment: str | None) -> list[Any]:  # noqa: ARG002
        return []


def replay_rows(rows: Sequence[LabelledIncident], settings: Settings, asked: Asked) -> dict[str, Any]:
    """Labelled incidents, each judged by its own telemetry. Raises BadInput for settings that cannot be used."""
    past = Past()
    pipeline = build_recommender(settings, past.clock, past=past)
    by_id = {row.id: row for row in rows}
    return _replay([case_of(row) for row in rows], pipeline, asked, lambda case: past.go_to(by_id[case.id]))


def replay_own(installation: Installation, settings: Settings, asked: Asked) -> dict[str, Any]:
    """The recorded incidents of an installation, with the outcomes and the samples of their time."""
    clock = _Clock()
    history = Before(installation.outcomes, clock.now)
    source = Then(installation.source, installation.samples)
    pipeline = build_recommender(settings, clock.now, past=source, history=history)
    cases = own_cases(installation.incidents, installation.executions, installation.recommendations)
    return _replay(cases, pipeline, asked, clock.go_to)


class _Clock:
    def __init__(self) -> None:
        self._case: Case | None = None

    def go_to(self, case: Case) -> None:
        self._case = case

    def now(self) -> Any:
        from models.domain.base import utc_now

        return self._case.moment if self._case else utc_now()


def _replay(cases: Sequence[Case], pipeline: Pipeline, asked: Asked, go_to: Callable[[Case], None]) -> dict[str, Any]:
    settings, never = pipeline.settings, _Never()
    earned = EarnedLevels(settings) if asked.level is None and asked.present is None else None
    levels: Levels = earned or asked.present or GivenLevels(asked.level or Mode.APPROVE, settings)
    limits = ShadowLimits(settings.limits, pipeline.topology)
    policies = load_policies(settings.policies, verb_catalogue())
    guard = Guard(policies, settings, never, never, pipeline.clock, autonomy=levels, limits=limits)
    shadow = Shadow(pipeline, guard, limits, earned, assume_preconditions=asked.assume_preconditions)
    found: list[Shadowed] = []
    # In the order of time, because levels and limits depend on what came before; those without a time come first.
    for case in sorted(cases, key=lambda case: case.moment):
        go_to(case)
        found.append(shadow.replay(case))
    told = report(found)
    return {
        "supposed": _supposed(asked, settings, [case.incident for case in cases]),
        "summary": headline(told),
        **told,
    }


def _supposed(asked: Asked, settings: Settings, incidents: Sequence[Incident]) -> dict[str, Any]:
    levels = "as they are now" if asked.present else str(asked.level) if asked.level else "earned on the way"
    environments = sorted({one.environment for one in incidents})
    return {
        "levels": levels,
        "modes": {name: str(settings.mode_of(name)) for name in environments},
        "preconditions_not_recorded": "taken to have held" if asked.assume_preconditions else "nothing is started",
    }
