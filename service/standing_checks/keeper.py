"""Measures standing checks when they are due, once over all replicas, and tells what violates them.

A replica claims a check by moving its next due time in the database, measures it, and writes what it found only where
the claim is still its own. One that dies in between leaves the check to the next due time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from models.domain.incident import IncidentStatus
from models.domain.signal import Signal, SignalKind
from service.one_round import OneRound
from service.standing_checks.book import StandingBook
from service.standing_checks.facts import Means
from service.standing_checks.format import StandingCheck
from service.standing_checks.measuring import Measurement, measure
from service.store.incidents import Incidents
from service.store.standing_checks import StandingState
from service.told import Problems, Take, ended_incidents

_log = logging.getLogger(__name__)

_LOCK = "standing-checks"
_REPEAT_AFTER = timedelta(minutes=1)
"""An incident whose signals are silent for `resolve_after` (5 minutes by default) resolves: what holds is repeated."""
_CLOSED_FOR = timedelta(days=1)
"""What a person closed is not told again for so long, as long as it does not end meanwhile."""


class StandingKeeper:
    """Keeps the standing checks of an installation."""

    def __init__(self, book: StandingBook, means: Means, incidents: Incidents, take: Take) -> None:
        self._book = book
        self._database = book.database
        self._round = OneRound(means.source)
        self._means = replace(means, source=self._round)
        self._incidents = incidents
        self._take = take
        self._problems = Problems(_log, "check")

    def tick(self) -> None:
        """Measure what is due. To be called every few seconds, in one thread of any number of replicas."""
        checks = {one.id: one for one in self._book.checks()}
        every = {name: one.every for name, one in checks.items()}
        with self._database.read() as connection:
            known = set(self._book.states.all(connection))
            due = self._book.states.due(connection, every, self._database.now(connection, self._book.clock))
        if known - set(checks):
            self._end(known - set(checks))
        self._round.begin()
        for name in due:
            claim = self._claim(checks[name])
            if claim is not None:
                self._finish(checks[name], claim, measure(checks[name], self._means))

    def repeat(self) -> None:
        """Say again what holds, where it was not said for a minute: measuring may be rarer. For a thread of its own."""
        now = self._book.clock()
        with self._database.read() as connection:
            states = self._book.states.all(connection)
        if any(_silent(state, now) for state in states.values()):
            self._take(self._repeated)

    def _claim(self, one: StandingCheck) -> str | None:
        with self._database.write() as connection:
            self._database.lock(connection, _LOCK)
            now = self._database.now(connection, self._book.clock)
            if not self._book.states.due(connection, {one.id: one.every}, now):
                return None  # another replica has it
            return self._book.states.claim(connection, one.id, now + one.every)

    def _finish(self, one: StandingCheck, claim: str, found: Measurement) -> None:
        self._problems.say(one.id, found.problem)

        def write(connection: Connection) -> Sequence[Signal]:
            self._database.lock(connection, _LOCK)
            if not self._book.states.holds(connection, one.id, claim):
                return ()
            before = self._book.states.all(connection)[one.id]
            now = self._book.clock()
            holds = {signal.fingerprint: signal for signal in _signals(one, found, now)}
            rest = [signal for signal in before.signals if signal.fingerprint not in holds]
            # Not known is not over.
            kept, over = (rest, []) if found.problem is not None else ([], rest)
            signals = (*holds.values(), *kept)
            state = StandingState(
                state="violated" if signals else "unknown" if found.problem is not None else "ok",
                measured_at=now, problem=found.problem, seen=found.seen, signals=signals,
                since=(before.since or now) if signals else None, told_at=now,
            )  # fmt: skip
            self._book.states.save(connection, one.id, state)
            closed = self._closed(connection, state, now)
            told = [signal for name, signal in holds.items() if name not in closed]
            return [*told, *(_over(signal, now, f"It holds again: {found.seen}.") for signal in over)]

        self._take(write)

    def _closed(self, connection: Connection, state: StandingState, now: datetime) -> set[str]:
        if state.since is None:
            return set()
        names = [signal.fingerprint for signal in state.signals]
        ended = ended_incidents(self._incidents, connection, names, max(state.since, now - _CLOSED_FOR))
        return {name for name, incident in ended.items() if incident.status is IncidentStatus.CLOSED}

    def _repeated(self, connection: Connection) -> Sequence[Signal]:
        self._database.lock(connection, _LOCK)
        now, told = self._book.clock(), []
        for name, state in self._book.states.all(connection).items():
            if _silent(state, now):
                names = [signal.fingerprint for signal in state.signals]
                # Whether it is mended, the next measurement says.
                ended = ended_incidents(self._incidents, connection, names, state.since or now)
                told += [
                    signal.model_copy(update={"at": now}) for signal in state.signals if signal.fingerprint not in ended
                ]
                self._book.states.save(connection, name, state.model_copy(update={"told_at": now}))
        return told

    def _end(self, removed: set[str]) -> None:
        def write(connection: Connection) -> Sequence[Signal]:
            self._database.lock(connection, _LOCK)
            states, now = self._book.states.all(connection), self._book.clock()
            gone = [signal for name in sorted(removed & set(states)) for signal in states[name].signals]
            for name in removed:
                self._book.states.remove(connection, name)
            return [_over(signal, now, "The check was removed.") for signal in gone]

        self._take(write)


def _silent(state: StandingState, now: datetime) -> bool:
    return bool(state.signals) and (state.told_at is None or now - state.told_at >= _REPEAT_AFTER)


def _signals(one: StandingCheck, found: Measurement, now: datetime) -> list[Signal]:
    own = {**one.labels, **({"service": one.service} if one.service else {}), "check": one.id}
    more = f"; and {found.more} more" if found.more else ""
    return [
        Signal(
            kind=SignalKind.POLICY,
            name=one.name,
            at=now,
            labels={**violation.labels, **own},
            severity=one.severity,
            value=violation.value,
            text=f"{one.text or one.name}: {violation.measured}{more}",
            source="check",
        )
        for violation in found.violations
    ]


def _over(signal: Signal, now: datetime, words: str) -> Signal:
    return signal.model_copy(update={"at": now, "status": "resolved", "text": words})
