"""Asks the source what objectives count: minute by minute from now on, by the hour of what was before.

A minute is counted from the counters' values at its two ends, so that nothing between two scrapes is lost and no rate
is guessed. What was missed while nobody asked, or nobody answered, is asked for afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models.detection.slo.burn import Counts
from models.detection.slo.objective import MINUTES_KEPT, SLOT, Objective
from models.domain.errors import BadInput, Unavailable
from service.one_round import OneRound
from service.ports import Source
from service.slo import indicator
from service.store.slo import HOUR, Slots

BEGINS_BEFORE = timedelta(hours=6)
"""How far back the minutes of a new objective are asked for; what is older is asked for by the hour."""
MOST_MINUTES = 420
MOST_HOURS = 24
"""Of the past, in one go for one objective: a source is not flooded after an outage."""


@dataclass(frozen=True)
class Measured:
    """The minutes that were not counted yet."""

    minutes: Slots
    until: datetime
    """How far they reach."""
    problem: str | None
    """Why they do not reach further, or why the last one could not be counted."""


class Counting:
    """Remembers each objective's last reading, which is the first of its next minute. For one thread."""

    def __init__(self, source: Source) -> None:
        self._source = OneRound(source)
        self._last: dict[str, indicator.Readings] = {}

    def begin(self) -> None:
        """A new round of all objectives."""
        self._source.begin()

    def minutes(self, objective: Objective, newest: datetime | None, until: datetime) -> Measured:
        """From the end of the newest minute on to `until`, or as far as the source answers."""
        start = hour_of(until - BEGINS_BEFORE) if newest is None else max(newest, hour_of(until - MINUTES_KEPT))
        minutes: Slots = []
        problem = None
        for _ in range(MOST_MINUTES):
            if start >= until:
                break
            end = start + SLOT
            try:
                counts, problem = self._minute(objective, start), None
            except indicator.NoData as error:
                counts, problem = None, str(error)
            except (BadInput, Unavailable) as error:
                return Measured(minutes, start, str(error))
            if counts is None and end < until:
                end = self._next_data(objective, end, until)
            # Of minutes without anything the last one is enough: it says how far was looked.
            if minutes and minutes[-1][1] is None:
                minutes.pop()
            minutes.append((end - SLOT, counts))
            start = end
        return Measured(minutes, start, problem if start >= until else "what was missed is being counted")

    def hours(self, objective: Objective, oldest: datetime, first: datetime) -> Slots:
        """Hours before `oldest`, newest first, not before `first`. Raises BadInput or Unavailable."""
        starts = [oldest - HOUR * n for n in range(1, MOST_HOURS + 1) if oldest - HOUR * n >= first]
        return [(at, indicator.history(objective, self._source, at, at + HOUR)) for at in starts]

    def _next_data(self, objective: Objective, start: datetime, until: datetime) -> datetime:
        """`start`, or the end of its hour where nothing is known of the rest of it: one question in place of sixty."""
        end = min(hour_of(start) + HOUR, until - SLOT)
        try:
            known = end <= start or indicator.history(objective, self._source, start, end)
        except (BadInput, Unavailable):
            return start  # the next minute says it
        return start if known else end

    def _minute(self, objective: Objective, start: datetime) -> Counts:
        before = self._last.pop(objective.key, None)
        if before is None or before.at != start:
            before = indicator.read(objective, self._source, start)
        after = indicator.read(objective, self._source, start + SLOT)
        self._last[objective.key] = after
        return indicator.counted(objective, before, after)


def minute_of(at: datetime) -> datetime:
    """The start of its minute."""
    return at.replace(second=0, microsecond=0)


def hour_of(at: datetime) -> datetime:
    """The start of its hour, in UTC: a zone's offset may be half an hour."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
