"""Requests minute by minute with a known burn rate, judged as the service judges them; nothing is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from models.detection.slo.burn import Counts, judge
from models.detection.slo.objective import SLOT, LowTraffic, Objective

Minutes = NDArray[np.int64]

NO_GUARD = LowTraffic(events=1, errors=1)


@dataclass(frozen=True)
class Told:
    """Minutes from the start at which a page or a ticket began to fire, and minutes during which one did."""

    pages: tuple[int, ...]
    tickets: tuple[int, ...]
    paging: int
    last_page: int | None
    """The last minute in which a page fired."""


def objective(target: float = 0.999, low_traffic: LowTraffic | None = None) -> Objective:
    """Availability over 30 days with the workbook's alerts."""
    return Objective.model_validate(
        {
            "id": "simulated", "service": "simulated", "target": target,
            "availability": {"total": "requests_total", "errors": "errors_total"},
            "low_traffic": low_traffic or LowTraffic(),
        }
    )  # fmt: skip


def requests(
    rng: np.random.Generator, per_minute: float, burn: NDArray[np.float64], budget: float
) -> tuple[Minutes, Minutes]:
    """Poisson totals and binomial errors of each minute, whose error share is `burn` times the budget."""
    total = rng.poisson(per_minute, burn.size)
    return total, rng.binomial(total, np.minimum(burn * budget, 1.0))


def play(one: Objective, total: Minutes, bad: Minutes, stop_at_page: bool = False) -> Told:
    """Judge every minute. `total` and `bad` begin with a healthy past: nothing is judged before the longest window."""
    sums = [np.concatenate(([0], np.cumsum(values))) for values in (total, bad)]
    past = max(one.windows) // SLOT
    firing: frozenset[int] = frozenset()
    pages, tickets, paging, last = [], [], 0, None
    for minute in range(past + 1, total.size + 1):
        seen = {span: _window(sums, minute, span) for span in one.windows}
        verdict = judge(one, seen, seen[max(one.windows)], firing)
        now = frozenset(place for place, state in enumerate(verdict.alerts) if state.firing)
        page, ticket = (any(one.burn_alerts[place].page is kind for place in now) for kind in (True, False))
        before = [any(one.burn_alerts[place].page is kind for place in firing) for kind in (True, False)]
        if page and not before[0]:
            pages.append(minute - past)
        if ticket and not before[1]:
            tickets.append(minute - past)
        paging, last = paging + page, minute - past if page else last
        firing = now
        if page and stop_at_page:
            break
    return Told(tuple(pages), tuple(tickets), paging, last)


def expected(one: Objective, burn: float, page: bool) -> float | None:
    """The workbook's detection time in minutes, (1 - SLO) * window * factor / error ratio: that of the alert that is
    first. None where none of that kind is reached.
    """
    reached = [alert for alert in one.burn_alerts if alert.page is page and burn >= alert.factor]
    return min((alert.factor / burn * (alert.long / timedelta(minutes=1)) for alert in reached), default=None)


def _window(sums: list[Minutes], minute: int, span: timedelta) -> Counts:
    first = max(0, minute - span // SLOT)
    total, bad = (float(values[minute] - values[first]) for values in sums)
    return Counts(total, bad)
