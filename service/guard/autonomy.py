"""Earned autonomy: how far Suture may go with one action in one environment, and by what evidence that changes.

Levels rise one at a time, observe → suggest → approve → auto, where both lower bounds of what happened since the last
change reach the bar (`service/guard/record.py`), and never above the environment's mode. What did not help takes `auto`
back at once. docs/decisions/earned-autonomy.md says why what counts for which step.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from models.domain.base import Clock
from models.domain.errors import BadInput, Conflict, NotFound
from models.domain.execution import Execution, ExecutionState, Mode, Outcome, Shadow
from models.domain.recommendation import Candidate
from models.domain.runbook import Runbook
from service.guard.ladder import ActionAutonomy, above, bounds, counted, rank, told
from service.guard.record import SuccessRecord
from service.settings import Settings
from service.store.autonomy import Autonomies, Place, Standing
from service.store.executions import Executions
from service.store.incidents import Incidents

CHANGED = "autonomy"
"""The kind of a timeline's entry that tells of a changed level."""
_BEGINNING = datetime.fromtimestamp(0, UTC)
"""Before all that was ever learned."""


class Levels:
    """Reads, earns and takes back levels. Over all replicas, one change at a time."""

    def __init__(
        self, store: Autonomies, executions: Executions, incidents: Incidents, settings: Settings, clock: Clock
    ) -> None:
        self._store = store
        self._executions = executions
        self._incidents = incidents
        self._settings = settings
        self._clock = clock

    def level(self, candidate: Candidate) -> Mode:
        """What the candidate's action has earned in its environment; the environment's mode is not looked at."""
        with self._store.database.read() as connection:
            return self._standing(connection, place_of(candidate)).level

    def record(self, candidate: Candidate) -> SuccessRecord:
        """Verified success of the candidate's action in its environment since trust was last taken back."""
        return self.earned(candidate)[1]

    def earned(self, candidate: Candidate) -> tuple[Mode, SuccessRecord]:
        """As `level` and `record`, of one reading."""
        place = place_of(candidate)
        with self._store.database.read() as connection:
            standing = self._standing(connection, place)
            verified, failed = self._store.ended(connection, place, standing.counted_from)
        return standing.level, SuccessRecord(verified, verified + failed)

    def learn(self, connection: Connection, outcome: Outcome, withdrawal: str | None) -> None:
        """Store an outcome, once, and what follows from it, all in the caller's transaction.

        `withdrawal` says why the action may not go on by itself; None: it may.
        """
        place = Place(outcome.runbook, outcome.action, outcome.environment)
        self._store.lock(connection)
        at = self._store.moment(connection, place, outcome.at)
        if not self._executions.add_outcome_in(connection, outcome.model_copy(update={"at": at})):
            return
        standing, cause = self._standing(connection, place), {"execution": outcome.execution}
        if withdrawal is None:
            self._promote(connection, standing, at, outcome.incident, cause)
        elif standing.level is Mode.AUTO:
            lower = standing.model_copy(
                update={"level": Mode.APPROVE, "since": at, "counted_from": at, "reason": withdrawal, "by": "suture"}
            )
            self._change(connection, standing, lower, "demoted", outcome.incident, cause)

    def watch(self, shadow: Shadow, text: str | None = None, comment: str = "") -> bool:
        """Store what a person did, and what follows from it; False where one of the episode is stored already.

        With `text` the incident's timeline tells it.
        """
        place = Place(shadow.runbook, shadow.action, shadow.environment)
        with self._store.database.write() as connection:
            self._store.lock(connection)
            at = self._store.moment(connection, place, shadow.at)
            if not self._store.add_shadow(connection, shadow.model_copy(update={"at": at})):
                return False
            data = {"by": shadow.by, "agreed": shadow.agreed, "comment": comment}
            if text is not None:
                self._incidents.note(connection, shadow.incident, "action-taken", text, data)
            self._promote(connection, self._standing(connection, place), at, shadow.incident, {"shadow": shadow.by})
        return True

    def set(self, place: Place, level: Mode, reason: str, by: str) -> ActionAutonomy:
        """A person's word. Raises BadInput above the environment's mode, Conflict where that is the level already."""
        ceiling = self._settings.mode_of(place.environment)
        if rank(level) > rank(ceiling):
            raise BadInput(f"the environment {place.environment!r} is in mode {ceiling}; {level} is above that")
        with self._store.database.write() as connection:
            self._store.lock(connection)
            was, at = self._standing(connection, place), self._store.moment(connection, place, self._clock())
            if was.level is level:
                raise Conflict(f"{place} is at {level} already")
            update = {"level": level, "since": at, "reason": reason, "by": by}
            if rank(level) < rank(was.level):
                update["counted_from"] = at
            self._change(connection, was, was.model_copy(update=update), "set")
        return self.look(place)

    def look(self, place: Place) -> ActionAutonomy:
        """Where an action stands in an environment."""
        with self._store.database.read() as connection:
            standing = self._standing(connection, place)
            evidence = self._store.evidence(connection, place, standing.since)
        ceiling, bar = self._settings.mode_of(place.environment), self._settings.autonomy.bar
        return told(standing, standing.since == _BEGINNING, ceiling, evidence, bar)

    def looks(self, environment: str | None = None) -> list[ActionAutonomy]:
        """Every action in every environment of which anything is known."""
        return [self.look(place) for place in self._store.known(environment)]

    def require(self, place: Place, runbooks: Iterable[Runbook]) -> None:
        """Raises NotFound for an action that neither the runbooks nor anything that was learned know."""
        actions = {(runbook.id, action.id) for runbook in runbooks for action in runbook.actions}
        if (place.runbook, place.action) not in actions and place not in self._store.known(place.environment):
            name = f"{place.runbook}/{place.action}"
            raise NotFound(f"no runbook has the action {name}; `suture runbook list` shows them")

    def _standing(self, connection: Connection, place: Place) -> Standing:
        return self._store.standing(connection, place) or Standing(
            runbook=place.runbook,
            action=place.action,
            environment=place.environment,
            level=self._settings.autonomy.start_in(place.environment),
            since=_BEGINNING,
            counted_from=_BEGINNING,
            reason="where actions begin here",
            by="settings",
        )

    def _promote(
        self, connection: Connection, was: Standing, at: datetime, incident: str, cause: dict[str, Any]
    ) -> None:
        """One level up, where the evidence since the last change is enough and the environment's mode allows it."""
        following, bar = above(was.level), self._settings.autonomy.bar
        if following is None or rank(following) > rank(self._settings.mode_of(was.environment)):
            return
        record = counted(was.level, self._store.evidence(connection, was.place, was.since))
        if record.reaches(bar):
            what = "verified successes" if was.level is Mode.APPROVE else "agreements"
            reason = f"{what}: {bounds(record, bar)}"
            update = {"level": following, "since": at, "reason": reason, "by": "suture"}
            self._change(connection, was, was.model_copy(update=update), "promoted", incident, cause)

    def _change(
        self,
        connection: Connection,
        was: Standing,
        to: Standing,
        event: str,
        incident: str | None = None,
        cause: dict[str, Any] | None = None,
    ) -> None:
        evidence = self._store.evidence(connection, was.place, was.since)
        self._store.put(connection, to, was, event, evidence, {**(cause or {}), "incident": incident})
        if incident is not None:
            text = f"{was.place}: {was.level} → {to.level}: {to.reason}"
            data = {"from": was.level, "to": to.level, **(cause or {})}
            self._incidents.note(connection, incident, CHANGED, text, data)


def place_of(candidate: Candidate) -> Place:
    """The candidate's action in its environment."""
    return Place(candidate.runbook, candidate.action, candidate.environment)


def withdrawal(execution: Execution) -> str | None:
    """Why an action may not go on by itself after this execution; None: it may.

    An act that failed and is known to have changed nothing is a failure that counts, and no reason by itself.
    """
    if execution.state is ExecutionState.ROLLED_BACK:
        return f"{execution.id} did not help and was rolled back"
    if execution.state is ExecutionState.UNCERTAIN:
        return f"of {execution.id} nobody can tell whether it took effect"
    if execution.state is ExecutionState.FAILED and execution.verification is not None:
        return f"{execution.id} was not verified healthy"
    return None
