"""Limits that hold over all replicas: asked for an opinion by the guard, and with the last word where one starts."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from models.domain.base import Clock
from models.domain.errors import Conflict
from models.domain.execution import Execution
from models.domain.recommendation import Candidate
from models.domain.topology import Topology
from service.guard.rules import Hold, Reach, first_hold, reach, standing
from service.guard_settings import LimitSettings, Scope
from service.store.admission import Facts, read_facts
from service.store.database import Database

__all__ = ["Held", "Hold", "Limits", "Reach"]


class Held(Conflict):
    """A limit does not let an execution start now."""

    title = "held"

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.reason)
        self.hold = hold


class Limits:
    """Reads the facts and applies the rules to them."""

    def __init__(self, database: Database, settings: LimitSettings, topology: Topology, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._topology = topology
        self._clock = clock
        self._periods = _periods(settings)

    def look(self, candidate: Candidate, now: datetime) -> Hold | None:
        """What would hold the candidate back at `now`: an opinion, another replica may be quicker.

        One that was admitted already is asked only for what also stops it then: kill switch, maintenance, freezes.
        """
        return self._hold(self._read(candidate, now), candidate)

    def blast_radius(self, candidate: Candidate, now: datetime) -> Reach:
        """How much of its service would have been acted on if the candidate ran at `now`."""
        return reach(self._read(candidate, now), self._settings.blast_radius, self._topology)

    def survey(self, candidate: Candidate, now: datetime) -> tuple[Hold | None, Reach]:
        """As `look` and `blast_radius`, of one reading."""
        facts = self._read(candidate, now)
        return self._hold(facts, candidate), reach(facts, self._settings.blast_radius, self._topology)

    def _hold(self, facts: Facts, candidate: Candidate) -> Hold | None:
        if any(active.candidate_hash == candidate.hash for active in facts.active):
            return standing(facts, self._settings.freezes)
        return first_hold(facts, self._settings, self._topology)

    def admit(self, connection: Connection, execution: Execution) -> None:
        """Let an execution start, in the transaction that starts it and that holds the lock of admissions.

        Raises Held. The time is the database's own: the clocks of replicas may differ.
        """
        now = self._database.now(connection, self._clock)
        hold = first_hold(self._facts(connection, execution.candidate, now), self._settings, self._topology)
        if hold is not None:
            raise Held(hold)

    def _read(self, candidate: Candidate, now: datetime) -> Facts:
        with self._database.read() as connection:
            return self._facts(connection, candidate, now)

    def _facts(self, connection: Connection, candidate: Candidate, now: datetime) -> Facts:
        failures = self._settings.breaker.failures
        return read_facts(connection, candidate, now, periods=self._periods, last=failures)


def _periods(settings: LimitSettings) -> dict[Scope, timedelta]:
    """How far back each scope is looked at."""
    periods: dict[Scope, timedelta] = {"service": settings.blast_radius.per}
    for rate in settings.rates:
        periods[rate.scope] = max(rate.per, periods.get(rate.scope, rate.per))
    return periods
