"""How fast an error budget burns, what is left of it, and whether somebody must be told.

A burn rate is the share of bad events over a window divided by the share that may be bad: at 1 the budget lasts exactly
as long as the objective's window. Source: The Site Reliability Workbook, chapter 5 "Alerting on SLOs".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import NamedTuple

from models.detection.slo.objective import BurnAlert, Objective
from models.domain.base import Frozen


class Counts(NamedTuple):
    """Events of a window. `bad` is never above `total`."""

    total: float
    bad: float

    def __add__(self, other: tuple[float, ...]) -> Counts:  # type: ignore[override]
        """Both together."""
        return Counts(self.total + other[0], self.bad + other[1])


class AlertState(Frozen):
    """One alert now. Rates are None over a window without events."""

    alert: BurnAlert
    long_rate: float | None
    short_rate: float | None
    firing: bool
    too_few: bool
    """The rates are reached, by too few events to say so."""


class Verdict(Frozen):
    """An objective now."""

    alerts: tuple[AlertState, ...]
    budget_left: float | None
    """Share of the budget, 1 when nothing was bad; below 0 where the objective is missed. None without events."""
    exhausted_in: timedelta | None
    """When nothing is left if it goes on as over the shortest long window; None where it lasts for the window."""

    @property
    def firing(self) -> tuple[AlertState, ...]:
        """The alerts that fire, those that page first."""
        return tuple(sorted((one for one in self.alerts if one.firing), key=lambda one: not one.alert.page))


def burn_rate(counts: Counts, budget: float) -> float | None:
    """At how many times the sustainable rate the budget burned; None without events."""
    return counts.bad / counts.total / budget if counts.total > 0 else None


def budget_left(counts: Counts, budget: float) -> float | None:
    """Of the budget of the events in `counts` (those of the objective's window): 1 is all, below 0 is overdrawn."""
    rate = burn_rate(counts, budget)
    return None if rate is None else 1 - rate


def budget_burned(since: Counts, window: Counts, budget: float) -> float | None:
    """The share of the whole window's budget that the bad events of `since` (a part of the window) used up.

    For the impact of an incident: `since` are the events from its start on. None without events.
    """
    return since.bad / (window.total * budget) if window.total > 0 else None


def judge(
    objective: Objective, sums: Mapping[timedelta, Counts], whole: Counts, firing: Collection[int] = ()
) -> Verdict:
    """The verdict on `sums` over the windows of the alerts and on `whole`, the window of the budget.

    `firing`: places of the alerts that fired before. One that fires goes on over a short window without events: nothing
    says that it is better. It ends when the short window is better, or when the long one is.
    """
    states = tuple(_state(objective, alert, sums, place in firing) for place, alert in enumerate(objective.burn_alerts))
    left = budget_left(whole, objective.budget)
    nearest = min(states, key=lambda state: state.alert.long)
    return Verdict(alerts=states, budget_left=left, exhausted_in=_lasts(objective, left, nearest.long_rate))


def _state(objective: Objective, alert: BurnAlert, sums: Mapping[timedelta, Counts], before: bool) -> AlertState:
    long, short = burn_rate(sums[alert.long], objective.budget), burn_rate(sums[alert.short], objective.budget)
    reached = long is not None and long >= alert.factor
    goes_on = before if short is None else short >= alert.factor
    seen, least = sums[alert.long], objective.low_traffic
    enough = before or (seen.total >= least.events and seen.bad >= least.errors)
    return AlertState(
        alert=alert,
        long_rate=long,
        short_rate=short,
        firing=reached and goes_on and enough,
        too_few=reached and goes_on and not enough,
    )


def _lasts(objective: Objective, left: float | None, rate: float | None) -> timedelta | None:
    """What is left burns at `rate`: a whole budget would last for the window divided by it."""
    if left is None or rate is None or rate <= 0:
        return None
    lasts = max(left, 0.0) * objective.window / rate
    return lasts if lasts < objective.window else None
