"""Events that changed something: deployments, configuration, scaling, Kubernetes. Kept for a while."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, delete, insert, select

from models.domain.base import Clock, Frozen, Labels, Time
from service.store.database import Database
from service.store.tables import change_events

KEPT = timedelta(days=30)
KEPT_AT_MOST = 50_000
"""The oldest leave first: a loop that reports a change a second fills no disk."""


class ChangeEvent(Frozen):
    """One event. `id` is `EVT-<number>`, given by the store."""

    id: str
    at: Time
    kind: str
    """`deployment`, `config`, `scale`, `kubernetes`, or a word of the sender's."""
    service: str = ""
    environment: str = ""
    """Empty: of every environment."""
    text: str
    labels: Labels = Field(default_factory=dict)
    by: str


class Changes:
    """The repository of events."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, connection: Connection, event: ChangeEvent) -> ChangeEvent:
        """Store an event and give it its identifier; forgets those of long ago."""
        inserted = connection.execute(
            insert(change_events).values(
                at=event.at.timestamp(), kind=event.kind, service=event.service, environment=event.environment,
                document=event.model_dump(mode="json", exclude={"id"}),
            )
        )  # fmt: skip
        number = int(inserted.inserted_primary_key[0])  # type: ignore[index]
        oldest = (self._clock() - KEPT).timestamp()
        gone = (change_events.c.at < oldest) | (change_events.c.number <= number - KEPT_AT_MOST)
        connection.execute(delete(change_events).where(gone))
        return event.model_copy(update={"id": f"EVT-{number}"})

    def since(
        self, connection: Connection, since: datetime, services: Iterable[str], environment: str
    ) -> list[ChangeEvent]:
        """Events at `since` or later of those services, or of none by name; newest first."""
        query = (
            select(change_events)
            .where(
                change_events.c.at >= since.timestamp(),
                change_events.c.service.in_(["", *services]),
                change_events.c.environment.in_(["", environment]),
            )
            .order_by(change_events.c.at.desc(), change_events.c.number.desc())
        )
        return [_event(row.number, row.document) for row in connection.execute(query)]

    def after(self, number: int, most: int = 1000) -> list[tuple[int, ChangeEvent]]:
        """Events with a higher number, oldest first."""
        query = select(change_events).where(change_events.c.number > number).order_by(change_events.c.number)
        with self._database.read() as connection:
            return [(row.number, _event(row.number, row.document)) for row in connection.execute(query.limit(most))]

    def page(self, *, after: int | None = None, limit: int = 50, service: str | None = None) -> Sequence[ChangeEvent]:
        """Events, newest first, below the number `after`."""
        query = select(change_events).order_by(change_events.c.number.desc()).limit(limit)
        if after is not None:
            query = query.where(change_events.c.number < after)
        if service is not None:
            query = query.where(change_events.c.service == service)
        with self._database.read() as connection:
            return [_event(row.number, row.document) for row in connection.execute(query)]


def _event(number: int, document: dict[str, Any]) -> ChangeEvent:
    return ChangeEvent.model_validate({**document, "id": f"EVT-{number}"})
