"""The failures that Suture is tried on, each with the ending that it is to have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evals.sandbox.config import CAUSES, RUNBOOKS
from evals.sandbox.fault import Fault
from evals.sandbox.faults import FAULTS
from evals.sandbox.faults_checkouts import CheckoutsNoConnections, CheckoutsNoDatabase, CheckoutsSlowDisk
from evals.sandbox.faults_database import CrowdConnections, ExhaustConnections, WrongRemedy
from evals.sandbox.faults_load import IdleWorkers, Overload
from evals.sandbox.faults_proxy import ExpiredCertificate
from evals.sandbox.faults_shop import BadRelease, BrokenStart, KillService
from models.domain.errors import BadInput
from models.domain.execution import ExecutionState
from runbooks import LIBRARY

Ending = Literal["resolved", "handed_over"]
_E = ExecutionState


@dataclass(frozen=True)
class HandOver:
    """How an incident is to reach a person."""

    reason: re.Pattern[str]
    """Stands in the reason that the incident and its ticket give."""
    states: frozenset[ExecutionState] = frozenset()
    """Those in which its executions may end; where there are none, nothing may have been decided to run."""
    acts: bool = False
    """Whether something is tried first: at least one execution then was rolled back. Else nothing was done at all."""


@dataclass(frozen=True)
class Scenario:
    """One failure, from its injection to its expected ending."""

    name: str
    fault: type[Fault]
    hand_over: HandOver | None = None
    """None: it is to be resolved, with verified health."""
    then: type[Fault] | None = None
    """What comes of it once it is resolved, and is to be resolved too."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """In place of the sandbox's settings; scenarios with the same settings share one service."""
    runbooks: tuple[Path, ...] = ()
    """Folders that are read beside the library and the sandbox's own, where nobody named others."""

    def settings_with(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that it is played with; `given` are those of the command line."""
        own = [str(folder) for folder in (LIBRARY, RUNBOOKS, *self.runbooks)]
        return {**({"runbooks": own} if self.runbooks else {}), **given, **self.settings}

    @property
    def ending(self) -> Ending:
        """How it is to end."""
        return "handed_over" if self.hand_over else "resolved"


FIELD = (
    Scenario("exhaust_connections", ExhaustConnections),
    Scenario("overload", Overload, then=IdleWorkers),
    Scenario("expired_certificate", ExpiredCertificate),
    Scenario("bad_release", BadRelease),
    Scenario("broken_start", BrokenStart),
)
"""Database connection failure, high CPU, an expired certificate, a bad deployment, service downtime."""
WRONG = (
    Scenario(
        "wrong_remedy",
        WrongRemedy,
        HandOver(re.compile("not healthy"), frozenset({_E.ROLLED_BACK, _E.FAILED}), acts=True),
    ),
    Scenario("precondition_false", CrowdConnections, HandOver(re.compile("precondition"), frozenset({_E.FAILED}))),
    Scenario(
        "approval_never_comes",
        KillService,
        HandOver(re.compile("nobody decided on .+ in time"), frozenset({_E.CANCELLED})),
        settings={"modes": {"sandbox": "approve"}, "approval_expires": "15s"},
    ),
)
"""A remedy that does not help, a runbook whose precondition is false, an approval that nobody gives."""
_ALERT_ALONE = {"detector": {"name": "off"}}
"""Nothing is seen but the symptom: an alert, as of a monitoring that watches what customers suffer and nothing else."""
SAME_SYMPTOM = tuple(
    Scenario(fault.name, fault, settings=_ALERT_ALONE, runbooks=(CAUSES,))
    for fault in (CheckoutsNoConnections, CheckoutsNoDatabase, CheckoutsSlowDisk)
)
"""Checkouts fail, for three reasons that only a look at the telemetry tells apart. Not among the eight of `all`."""
SCENARIOS = {scenario.name: scenario for scenario in (*FIELD, *WRONG)}


def scenarios_of(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Scenarios by their names, or by the name of a fault that is to be cured; `all` stands for all of SCENARIOS.

    Raises BadInput with the known names.
    """
    return tuple(each for name in names for each in (SCENARIOS.values() if name == "all" else (scenario_of(name),)))


def scenario_of(name: str) -> Scenario:
    """One scenario. Raises BadInput as `scenarios_of` does."""
    named = SCENARIOS | {scenario.name: scenario for scenario in SAME_SYMPTOM}
    if name in named:
        return named[name]
    fault = FAULTS.get(name)
    if fault is None or not fault.cures:
        known = (*named, *(each.name for each in FAULTS.values() if each.cures and each.name not in named))
        raise BadInput(f"there is no scenario {name!r}: choose one of {', '.join(known)}")
    return Scenario(name, fault)
