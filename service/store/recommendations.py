"""Recommendations as they were given: never changed afterwards."""

from __future__ import annotations

from sqlalchemy import insert, select

from models.domain.errors import NotFound
from models.domain.recommendation import Recommendation
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.incidents import incident_number
from service.store.tables import recommendations


class Recommendations:
    """The repository of recommendations."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def add(self, recommendation: Recommendation) -> None:
        """Store it; a second one of the same id is left out, so that a repeated step does no harm."""
        with self._database.write() as connection:
            known = select(recommendations.c.number).where(recommendations.c.id == recommendation.id)
            if connection.execute(known).first():
                return
            connection.execute(
                insert(recommendations).values(
                    id=recommendation.id, incident=incident_number(recommendation.incident),
                    document=recommendation.model_dump(mode="json", by_alias=True),
                )
            )  # fmt: skip
            order = [(r.candidate.hash, r.probability) for r in recommendation.candidates]
            reason = recommendation.abstained.reason if recommendation.abstained else None
            self._audit.append(
                connection, "recommendation.made", recommendation.incident,
                {"recommendation": recommendation.id, "candidates": order, "abstained": reason},
            )  # fmt: skip

    def get(self, identifier: str) -> Recommendation:
        """One recommendation. Raises NotFound."""
        with self._database.read() as connection:
            document = connection.execute(
                select(recommendations.c.document).where(recommendations.c.id == identifier)
            ).scalar()
        if document is None:
            raise NotFound(f"there is no recommendation {identifier}")
        return Recommendation.model_validate(document)

    def latest(self, incident: str) -> Recommendation:
        """The newest recommendation for an incident. Raises NotFound."""
        query = (
            select(recommendations.c.document)
            .where(recommendations.c.incident == incident_number(incident))
            .order_by(recommendations.c.number.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            document = connection.execute(query).scalar()
        if document is None:
            raise NotFound(f"there is no recommendation for {incident} yet")
        return Recommendation.model_validate(document)

    def of(self, incident: str) -> list[Recommendation]:
        """All recommendations for an incident, oldest first."""
        query = (
            select(recommendations.c.document)
            .where(recommendations.c.incident == incident_number(incident))
            .order_by(recommendations.c.number)
        )
        with self._database.read() as connection:
            return [Recommendation.model_validate(document) for document in connection.execute(query).scalars()]
