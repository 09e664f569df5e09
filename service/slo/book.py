"""What is known of the objectives: their status for people, and what incidents cost of their budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from models.detection.slo.burn import Verdict, budget_burned, judge
from models.detection.slo.objective import SLOT, Objective, Objectives
from models.domain.base import Clock, Duration, Frozen, Time
from service.slo.counting import minute_of
from service.store.database import Database
from service.store.slo import HOUR, SloCounts, SloState, SloStates
from service.watched_file import WatchedFile

State = Literal["ok", "ticket", "page", "unknown"]


class AlertStatus(Frozen):
    """One alert now: `burn_long` and `burn_short` are at how many times the sustainable rate the budget burns."""

    factor: float
    long: Duration
    short: Duration
    page: bool
    burn_long: float | None
    burn_short: float | None
    firing: bool
    too_few: bool
    """Reached, by too few events to say so."""


class SloStatus(Frozen):
    """One objective now."""

    id: str
    title: str
    service: str
    target: float
    window: Duration
    state: State
    """The worst that fires; `unknown` where nothing fires and it could not be measured."""
    budget_left: float | None
    """Of 1; below 0 the objective is missed. None without events."""
    exhausted_at: Time | None
    """When nothing is left if it goes on as now; None where it lasts."""
    events: float
    """In the window, as far as it was measured."""
    measured: float
    """The share of the window that was measured."""
    measured_until: Time | None
    problem: str | None
    alerts: tuple[AlertStatus, ...]


class SloBook:
    """The objectives of an installation and what was counted for them; counting is the keeper's."""

    def __init__(self, file: WatchedFile[Objectives], database: Database, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self.database = database
        self.counts = SloCounts()
        self.states = SloStates()

    def objectives(self) -> tuple[Objective, ...]:
        """Those that hold now."""
        return self._file.content().slos

    @property
    def problem(self) -> str | None:
        """What is wrong with the file as it is now, where an earlier one holds on."""
        return self._file.problem

    def status(self) -> list[SloStatus]:
        """All objectives in the order of the file, as of what was last counted."""
        objectives = self.objectives()
        with self.database.read() as connection:
            states = self.states.all(connection)
            newest = self.counts.newest(connection, [one.key for one in objectives])
            return [self._status(connection, one, states.get(one.id), newest.get(one.key)) for one in objectives]

    def states_counted(self) -> dict[str, int]:
        """How many objectives are in each state."""
        with self.database.read() as connection:
            states = self.states.all(connection)
        found = [_state(one, states.get(one.id), _problem(states.get(one.id))) for one in self.objectives()]
        return {state: found.count(state) for state in ("ok", "ticket", "page", "unknown")}

    def burned(self, services: Sequence[str], since: datetime) -> dict[str, float]:
        """For the impact of an incident: the share of its whole budget that each objective of these services lost from
        `since` on, by the objective's name; those that lost nothing are left out.
        """
        end, found = minute_of(self._clock()), {}
        with self.database.read() as connection:
            for objective in self.objectives():
                if objective.service in services:
                    spent = max(end - minute_of(since), SLOT)
                    sums = self.counts.sums(connection, objective.key, end, {spent, objective.window})
                    share = budget_burned(sums[spent], sums[objective.window], objective.budget)
                    if share:
                        found[objective.name] = share
        return found

    def _status(
        self, connection: Connection, objective: Objective, state: SloState | None, until: datetime | None
    ) -> SloStatus:
        end = until or minute_of(self._clock())
        sums = self.counts.sums(connection, objective.key, end, objective.windows)
        whole = self.counts.sums(connection, objective.key, end, {objective.window})[objective.window]
        verdict = judge(objective, sums, whole)
        hours = self.counts.hours_counted(connection, objective.key, end - objective.window)
        problem = _problem(state)
        return SloStatus(
            id=objective.id,
            title=objective.title,
            service=objective.service,
            target=objective.target,
            window=objective.window,
            state=_state(objective, state, problem),
            budget_left=verdict.budget_left,
            exhausted_at=None if verdict.exhausted_in is None else end + verdict.exhausted_in,
            events=whole.total,
            measured=min(1.0, hours / (objective.window / HOUR)),
            measured_until=until,
            problem=problem,
            alerts=_alerts(verdict, state),
        )


def _problem(state: SloState | None) -> str | None:
    return state.problem if state is not None else "not measured yet; is a detector running?"


def _state(objective: Objective, state: SloState | None, problem: str | None) -> State:
    firing = [objective.burn_alerts[n] for n in (state.firing if state else ()) if n < len(objective.burn_alerts)]
    if firing:
        return "page" if any(alert.page for alert in firing) else "ticket"
    return "unknown" if problem is not None else "ok"


def _alerts(verdict: Verdict, state: SloState | None) -> tuple[AlertStatus, ...]:
    fired = state.firing if state is not None else ()
    return tuple(
        AlertStatus(
            factor=one.alert.factor, long=one.alert.long, short=one.alert.short, page=one.alert.page,
            burn_long=one.long_rate, burn_short=one.short_rate, firing=place in fired, too_few=one.too_few,
        )
        for place, one in enumerate(verdict.alerts)
    )  # fmt: skip
