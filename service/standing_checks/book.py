"""What is known of the standing checks."""

from __future__ import annotations

from pathlib import Path

from models.domain.base import Clock, Duration, Frozen, Labels, Severity, Time
from service.standing_checks.format import StandingCheck, StandingChecks, load_checks
from service.store.database import Database
from service.store.standing_checks import CheckState, StandingState, StandingStates
from service.watched_file import WatchedFile


class ViolationStatus(Frozen):
    """What violates a check."""

    labels: Labels
    text: str


class CheckStatus(Frozen):
    """One standing check, as it was measured last."""

    id: str
    title: str
    service: str | None
    every: Duration
    severity: Severity
    state: CheckState
    measured_at: Time | None
    problem: str | None
    """Why it is not known, or not known of every row."""
    seen: str
    """What was looked at, in words."""
    since: Time | None
    """Since when something violates it."""
    violations: tuple[ViolationStatus, ...]


class StandingBook:
    """The checks of an installation and what was found last; measuring is the keeper's."""

    def __init__(self, path: Path | None, database: Database, clock: Clock) -> None:
        """Raises BadInput where the file cannot be used."""
        self._file = WatchedFile(path, load_checks, StandingChecks())
        self.clock = clock
        self.database = database
        self.states = StandingStates()

    def checks(self) -> tuple[StandingCheck, ...]:
        """Those that hold now."""
        return self._file.content().checks

    @property
    def problem(self) -> str | None:
        """What is wrong with the file as it is now, where an earlier one holds on."""
        return self._file.problem

    def status(self) -> list[CheckStatus]:
        """All checks in the order of the file."""
        with self.database.read() as connection:
            states = self.states.all(connection)
        return [_status(one, states.get(one.id, StandingState())) for one in self.checks()]

    def counts(self) -> dict[str, int]:
        """How many checks are in each state."""
        found = [one.state for one in self.status()]
        return {state: found.count(state) for state in ("ok", "violated", "unknown")}


def _status(one: StandingCheck, state: StandingState) -> CheckStatus:
    return CheckStatus(
        id=one.id, title=one.title, service=one.service, every=one.every, severity=one.severity, state=state.state,
        measured_at=state.measured_at, problem=state.problem, seen=state.seen, since=state.since,
        violations=tuple(ViolationStatus(labels=each.labels, text=each.text) for each in state.signals),
    )  # fmt: skip
