"""What tests of earned autonomy share: levels over a database, and outcomes and shadows that are quickly made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from models.domain.base import utc_now
from models.domain.execution import ExecutionState, Mode, Outcome, Shadow
from models.domain.incident import Incident
from models.domain.recommendation import Candidate
from models.domain.runbook import Check
from service.guard.autonomy import Levels
from service.store.audit import AuditLog
from service.store.autonomy import Autonomies, Place
from service.store.database import open_database
from service.store.executions import Executions
from service.store.incidents import Incidents

PLACE = Place("fix-shop", "fix", "default")


def candidate(**changes: Any) -> Candidate:
    fields = {
        "incident": "INC-1", "environment": "default", "service": "shop", "runbook": "fix-shop", "action": "fix",
        "title": "Fix it", "uses": "ledger/write", "arguments": {"name": "shop"}, "target": "ledger:shop",
        "parameters": {}, "risk": "low", "reversible": True, "approval": "policy", "timeout": timedelta(seconds=5),
        "preconditions": (), "verify": (Check(query="healthy", condition="== 1"),), "rollback": None,
    }  # fmt: skip
    return Candidate.model_validate(fields | changes)


def outcome_of(number: int, verified: bool, at: datetime, place: Place = PLACE) -> Outcome:
    return Outcome(
        execution=f"EXE-{number}", incident="INC-1", runbook=place.runbook, action=place.action, uses="ledger/write",
        environment=place.environment, state=ExecutionState.SUCCEEDED if verified else ExecutionState.FAILED,
        verified=verified, at=at,
    )  # fmt: skip


class Replica:
    """One replica's view of the levels, without a workflow."""

    def __init__(self, settings: Any, clock: Any = utc_now) -> None:
        self.database = open_database(settings.database)
        self.audit = AuditLog(self.database, clock)
        self.incidents = Incidents(self.database, self.audit, clock)
        self.executions = Executions(self.database, self.audit, clock)
        self.levels = Levels(Autonomies(self.database, self.audit), self.executions, self.incidents, settings, clock)
        self.clock = clock

    def open_incident(self) -> str:
        now = self.clock()
        draft = Incident(id="INC-0", title="shop is down", started_at=now, detected_at=now, updated_at=now)
        with self.database.write() as connection:
            return self.incidents.add(connection, draft).id

    def outcome(self, number: int, verified: bool = True, withdrawal: str | None = None, place: Place = PLACE) -> None:
        """An execution ended; the `number` names it."""
        learned = outcome_of(number, verified, self.clock(), place)
        with self.database.write() as connection:
            self.levels.learn(connection, learned, withdrawal)

    def outcomes(self, numbers: range) -> None:
        """Verified ones, in one transaction, which is quicker."""
        with self.database.write() as connection:
            for number in numbers:
                self.levels.learn(connection, outcome_of(number, True, self.clock()), None)

    def shadow(self, episode: int, agreed: bool = True) -> bool:
        """A person did, or did not, what Suture would have done first."""
        return self.levels.watch(
            Shadow(
                incident="INC-1", episode=episode, runbook="fix-shop", action="fix", environment="default",
                agreed=agreed, by="ann", at=self.clock(),
            )
        )  # fmt: skip

    def level(self) -> Mode:
        return self.levels.level(candidate())

    def told(self) -> list[str]:
        """What the incident's timeline says of levels."""
        return [entry.text for entry in self.incidents.get("INC-1").timeline if entry.kind == "autonomy"]
