"""What executions taught, over all actions: for people's eyes. Ranking and autonomy ask for one action at a time."""

from __future__ import annotations

from sqlalchemy import select

from models.domain.execution import Outcome
from service.store.database import Database
from service.store.tables import outcomes


class Outcomes:
    """Reads the outcomes of all actions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, *, runbook: str | None = None, environment: str | None = None) -> list[Outcome]:
        """Outcomes of all actions, or of those of one runbook or in one environment, oldest first."""
        query = select(outcomes.c.document).order_by(outcomes.c.at)
        if runbook is not None:
            query = query.where(outcomes.c.runbook == runbook)
        if environment is not None:
            query = query.where(outcomes.c.environment == environment)
        with self._database.read() as connection:
            return [Outcome.model_validate(document) for document in connection.execute(query).scalars()]
