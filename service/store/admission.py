"""What limits need to know before an execution starts, read inside the transaction that would start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, or_, select, text

from models.domain.execution import FINAL_STATES, ExecutionState
from models.domain.incident import ACTIVE_STATUSES
from models.domain.recommendation import Candidate
from service.guard_settings import Scope
from service.store.maintenance import MaintenanceWindow, planned
from service.store.state import kill_switch_is_on
from service.store.tables import as_column, executions, incidents, outcomes

# Written out: neither database uses a partial index for a state that it is told only later.
_IS_ACTIVE = text(
    "executions.state IN ({})".format(
        ", ".join(f"'{state}'" for state in sorted(set(ExecutionState) - FINAL_STATES - {ExecutionState.PENDING}))
    )
)
# Rows of an earlier version keep their times with other endings; what is read too much is left out afterwards.
_MARGIN = timedelta(seconds=1)


@dataclass(frozen=True)
class Place:
    """What is acted on and how, as limits count it: cut as the columns are."""

    target: str
    service: str
    """Empty where it is not known."""
    environment: str
    action: str
    """`runbook/action`."""


@dataclass(frozen=True)
class Start:
    """An execution that began."""

    at: datetime
    place: Place


@dataclass(frozen=True)
class Active:
    """An execution that acts now."""

    execution: str
    candidate_hash: str
    place: Place


@dataclass(frozen=True)
class Doubt:
    """An execution that may have acted on the target; its incident still waits for a person."""

    execution: str
    incident: str


@dataclass(frozen=True)
class Ended:
    """How an earlier execution of the action ended."""

    verified: bool
    at: datetime


@dataclass(frozen=True)
class Facts:
    """The state of affairs at one instant."""

    now: datetime
    place: Place
    """Of what would start."""
    kill_switch: bool
    maintenance: tuple[MaintenanceWindow, ...]
    """Windows that have not ended."""
    starts: tuple[Start, ...]
    active: tuple[Active, ...]
    doubts: tuple[Doubt, ...]
    outcomes: tuple[Ended, ...]
    """Of the action in the environment, newest first."""


def place_of(candidate: Candidate) -> Place:
    """Where a candidate would act."""
    return Place(
        target=as_column(candidate.target, 300),
        service=as_column(candidate.service or "", 200),
        environment=as_column(candidate.environment, 200),
        action=as_column(f"{candidate.runbook}/{candidate.action}", 201),
    )


def read_facts(
    connection: Connection, candidate: Candidate, now: datetime, *, periods: Mapping[Scope, timedelta], last: int
) -> Facts:
    """The facts about a candidate at `now`: starts within the period of each scope, and the `last` outcomes."""
    place = place_of(candidate)
    return Facts(
        now=now,
        place=place,
        kill_switch=kill_switch_is_on(connection),
        maintenance=tuple(planned(connection, now)),
        starts=_starts(connection, place, now, periods),
        active=_active(connection),
        doubts=_doubts(connection, place.target),
        outcomes=_outcomes(connection, candidate, last),
    )


_PLACE = (executions.c.target, executions.c.service, executions.c.environment, executions.c.action)


def _starts(
    connection: Connection, place: Place, now: datetime, periods: Mapping[Scope, timedelta]
) -> tuple[Start, ...]:
    if not periods:
        return ()
    since = {f"since_{scope}": _stamp(now - per - _MARGIN) for scope, per in periods.items()}
    longest = _stamp(now - max(periods.values()) - _MARGIN)
    rows = connection.execute(_started(tuple(periods)), asdict(place) | since | {"longest": longest})
    return tuple(Start(datetime.fromisoformat(str(at)), Place(*of)) for at, *of in rows)


@cache
def _started(scopes: tuple[Scope, ...]) -> Select[Any]:
    began = executions.c.started_at
    within = [
        and_(began >= bindparam(f"since_{scope}"), *([] if scope == "all" else [_same(scope)])) for scope in scopes
    ]
    return select(began, *_PLACE).where(began >= bindparam("longest"), or_(*within))


def _same(scope: str) -> ColumnElement[bool]:
    column = executions.c[scope] == bindparam(scope)
    # A service is meant in its environment: shop in staging is not shop in production.
    return and_(column, executions.c.environment == bindparam("environment")) if scope == "service" else column


def _active(connection: Connection) -> tuple[Active, ...]:
    return tuple(Active(identifier, digest, Place(*of)) for identifier, digest, *of in connection.execute(_ACTING))


def _doubts(connection: Connection, target: str) -> tuple[Doubt, ...]:
    """Uncertain executions on the target whose incident was neither resolved nor closed since."""
    return tuple(
        Doubt(identifier, f"INC-{number}")
        for identifier, workflow, number, now_in in connection.execute(_UNCERTAIN, {"target": target})
        if not _of_an_earlier_episode(workflow, now_in)
    )


def _of_an_earlier_episode(workflow: str, episode: int) -> bool:
    """Whether the incident ended after that workflow and was opened again: a person had looked."""
    number = workflow.rpartition("-")[2]
    return number.isdecimal() and int(number) < episode


def _outcomes(connection: Connection, candidate: Candidate, last: int) -> tuple[Ended, ...]:
    asked = {"runbook": candidate.runbook, "action": candidate.action, "environment": candidate.environment}
    rows = connection.execute(_LAST_ENDED, {**asked, "last": last})
    return tuple(Ended(verified, datetime.fromisoformat(at)) for verified, at in rows)


# Made once: they are asked for every decision, and their making takes as long as their answer.
_ACTING = select(executions.c.id, executions.c.candidate_hash, *_PLACE).where(_IS_ACTIVE)
# From the incidents that are active, of which there are few: no index leads from a target to them.
_UNCERTAIN = (
    select(executions.c.id, executions.c.workflow, incidents.c.number, incidents.c.document["episode"].as_integer())
    .join(incidents, incidents.c.number == executions.c.incident)
    .where(
        incidents.c.status.in_(list(ACTIVE_STATUSES)),
        executions.c.state == ExecutionState.UNCERTAIN,
        executions.c.target == bindparam("target"),
    )
)
_LAST_ENDED = (
    select(outcomes.c.verified, outcomes.c.at)
    .where(*(outcomes.c[name] == bindparam(name) for name in ("runbook", "action", "environment")))
    .order_by(outcomes.c.at.desc())
    .limit(bindparam("last"))
)


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
