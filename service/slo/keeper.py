"""Counts and judges every objective once a minute over all replicas, and lets what burns open an incident.

Counts and verdicts are kept in the database: budgets and windows survive a restart and outlive the samples.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from models.detection.slo.objective import Objective
from models.domain.base import Clock
from models.domain.errors import SutureError
from models.domain.signal import Signal
from service.ports import Source
from service.slo.book import SloBook
from service.slo.counting import MOST_HOURS, Counting, hour_of, minute_of
from service.slo.judging import Judging
from service.slo.words import removed_signal
from service.store.incidents import Incidents
from service.store.slo import HOUR
from service.told import Problems, Take

_log = logging.getLogger(__name__)

_LOCK = "slo"


class SloKeeper:
    """Keeps the objectives of an installation. For one thread."""

    def __init__(self, book: SloBook, source: Source, incidents: Incidents, take: Take, clock: Clock) -> None:
        self._book = book
        self._database = book.database
        self._counting = Counting(source)
        self._judging = Judging(book, incidents, clock)
        self._take = take
        self._clock = clock
        self._problems = Problems(_log, "objective")
        self._whole: set[str] = set()
        """Keys whose past was asked for as far as their window goes."""
        self._forgot_at: datetime | None = None

    def tick(self) -> None:
        """Count what is over, judge, and tell. To be called a few times a minute, by any number of replicas."""
        now, objectives = self._clock(), self._book.objectives()
        with self._database.read() as connection:
            states = self._book.states.all(connection)
            newest = self._book.counts.newest(connection, [one.key for one in objectives])
        until = minute_of(now)
        self._counting.begin()
        for objective in objectives:
            state, counted = states.get(objective.id), newest.get(objective.key)
            if state is None or counted is None or min(state.at, counted) < until:
                self._advance(objective, counted, until)
        removed = set(states) - {one.id for one in objectives}
        if removed:
            self._end(removed)
        for objective in objectives:
            if objective.key not in self._whole:
                self._look_back(objective)
        self._forget(now)

    def _advance(self, objective: Objective, newest: datetime | None, until: datetime) -> None:
        measured = self._counting.minutes(objective, newest, until)
        self._problems.say(objective.id, measured.problem)

        def write(connection: Connection) -> Sequence[Signal]:
            self._database.lock(connection, _LOCK)
            self._book.counts.add_minutes(connection, objective.key, measured.minutes)
            before = self._book.states.all(connection).get(objective.id)
            caught_up = measured.until >= until and before is not None and before.problem is not None
            if before is not None and before.at >= until and not caught_up:
                return ()  # another replica was quicker, and told
            state, signals = self._judging.judge(connection, objective, before, measured, until)
            self._book.states.save(connection, objective.id, state)
            return signals

        self._take(write)

    def _end(self, removed: set[str]) -> None:
        def write(connection: Connection) -> Sequence[Signal]:
            self._database.lock(connection, _LOCK)
            states = self._book.states.all(connection)
            gone = [states[name].signal for name in sorted(removed & set(states))]
            for name in removed:
                self._book.states.remove(connection, name)
            return [removed_signal(signal, self._clock()) for signal in gone if signal is not None]

        self._take(write)

    def _look_back(self, objective: Objective) -> None:
        with self._database.read() as connection:
            oldest = self._book.counts.oldest_hour(connection, objective.key)
        if oldest is None:
            return
        try:
            hours = self._counting.hours(objective, oldest, hour_of(self._clock() - objective.window))
        except SutureError as error:
            self._problems.say(objective.id, f"the past cannot be counted: {error}")
            return
        if hours:
            with self._database.write() as connection:
                self._database.lock(connection, _LOCK)
                self._book.counts.add_hours(connection, objective.key, hours)
        # A day of which nothing is known: what was before it is not known either.
        if len(hours) < MOST_HOURS or not any(counts for _, counts in hours):
            self._whole.add(objective.key)

    def _forget(self, now: datetime) -> None:
        if self._forgot_at is None or now - self._forgot_at >= HOUR:
            self._forgot_at = now
            with self._database.write() as connection:
                self._database.lock(connection, _LOCK)
                self._book.counts.forget(connection, now)
