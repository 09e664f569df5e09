"""Deliveries of webhooks that were taken: one that comes again, on whichever replica, is known."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select

from models.domain.base import Clock
from service.store.database import Database
from service.store.tables import deliveries

KEPT = timedelta(days=4)
"""How long a delivery is known.

A copied one is refused by its time after five minutes. An honest sender, whose answer was lost, repeats the identifier
with a new time: the schedule that Standard Webhooks recommends tries for a little more than three days.
"""


class Deliveries:
    """The repository of deliveries."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, connection: Connection, webhook: str, identifier: str) -> bool:
        """Note a delivery in the caller's transaction; False where it was taken before. Forgets those of long ago.

        Who brings the same one at the same time waits for the end of that transaction. Where it is rolled back, the
        delivery was not taken.
        """
        # Two who forget the same rows, or bring the same delivery, take turns.
        self._database.lock(connection, "deliveries")
        now = self._database.now(connection, self._clock).timestamp()
        connection.execute(delete(deliveries).where(deliveries.c.taken_at < now - KEPT.total_seconds()))
        digest = hashlib.sha256(identifier.encode()).hexdigest()
        same = (deliveries.c.webhook == webhook, deliveries.c.digest == digest)
        if connection.execute(select(deliveries.c.taken_at).where(*same)).first():
            return False
        connection.execute(insert(deliveries).values(webhook=webhook, digest=digest, taken_at=now))
        return True
