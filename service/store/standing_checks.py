"""When each standing check is due, who measures it, and what was found last."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from models.domain.base import Frozen, Time
from models.domain.signal import Signal
from service.store.tables import standing_checks

CheckState = Literal["ok", "violated", "unknown"]


class StandingState(Frozen):
    """What was found last."""

    state: CheckState = "unknown"
    measured_at: Time | None = None
    problem: str | None = "not measured yet; is a detector running?"
    """Why it is not known, or not known of every row."""
    seen: str = ""
    signals: tuple[Signal, ...] = ()
    """What is violated."""
    since: Time | None = None
    """Since when something is."""
    told_at: Time | None = None


class StandingStates:
    """The repository. All calls are within the caller's transaction, times are by the database's clock."""

    def all(self, connection: Connection) -> dict[str, StandingState]:
        """By the check's id."""
        rows = connection.execute(select(standing_checks.c.id, standing_checks.c.document))
        return {identifier: StandingState.model_validate(document) for identifier, document in rows}

    def due(self, connection: Connection, checks: Mapping[str, timedelta], now: datetime) -> list[str]:
        """Those of `checks` (id → how often) that are due, or were never measured."""
        rows = connection.execute(select(standing_checks.c.id, standing_checks.c.due_at))
        at = {name: float(due_at) for name, due_at in rows}
        left = {name: timedelta(seconds=at.get(name, 0.0) - now.timestamp()) for name in checks}
        # Further away than its interval: the interval was longer before.
        return [name for name, every in checks.items() if not timedelta(0) < left[name] <= every]

    def claim(self, connection: Connection, identifier: str, until: datetime) -> str:
        """Take a check that is due: nobody else does before `until`. Returns the claim, which `save` asks for."""
        claim = uuid.uuid4().hex
        values = {"due_at": until.timestamp(), "claim": claim}
        same = standing_checks.c.id == identifier
        if not connection.execute(update(standing_checks).where(same).values(**values)).rowcount:
            document = StandingState().model_dump(mode="json")
            connection.execute(insert(standing_checks).values(id=identifier, document=document, **values))
        return claim

    def holds(self, connection: Connection, identifier: str, claim: str) -> bool:
        """Whether the claim is the last one."""
        same = (standing_checks.c.id == identifier, standing_checks.c.claim == claim)
        return connection.execute(select(standing_checks.c.id).where(*same)).first() is not None

    def save(self, connection: Connection, identifier: str, state: StandingState) -> None:
        """What was found, in place of what was there."""
        document = state.model_dump(mode="json")
        connection.execute(update(standing_checks).where(standing_checks.c.id == identifier).values(document=document))

    def remove(self, connection: Connection, identifier: str) -> None:
        """The check is there no more."""
        connection.execute(delete(standing_checks).where(standing_checks.c.id == identifier))
