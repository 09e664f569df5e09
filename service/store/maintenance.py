"""Maintenance windows: while people work on a service, nothing is started on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from models.domain.base import Clock, Frozen, Time
from models.domain.errors import BadInput, Conflict, NotFound
from service.store.audit import AuditLog
from service.store.database import ADMISSION, Database
from service.store.identifiers import number_of
from service.store.tables import maintenance

_PREFIX = "MNT-"
# Made once: it is asked for every decision.
_PLANNED = select(maintenance.c.number, maintenance.c.document).where(maintenance.c.ends_at > bindparam("now"))


class MaintenanceWindow(Frozen):
    """When people work on which services. `id` is `MNT-<number>`, given by the store."""

    id: str
    service: str
    """A glob."""
    environment: str
    """A glob."""
    starts_at: Time
    ends_at: Time
    """As it was planned; `ended_at` where a person ended it earlier."""
    reason: str
    by: str
    ended_at: Time | None = None
    ended_by: str | None = None


class Maintenance:
    """The repository of maintenance windows."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def add(
        self, *, service: str, environment: str, starts_at: datetime | None, ends_at: datetime, reason: str, actor: str
    ) -> MaintenanceWindow:
        """Plan a window, from now on where `starts_at` is None; once this returns, nothing starts within it.

        Raises BadInput where it would have no time.
        """
        with self._database.write() as connection:
            # A start that is being admitted now is before the window, or sees it.
            self._database.lock(connection, ADMISSION)
            # By the clock that starts are admitted by: with a slow or a fast one of ours it would begin too late.
            now = self._database.now(connection, self._clock)
            begins, ends = utc(starts_at or now), utc(ends_at)
            if ends <= begins and starts_at is not None:
                raise BadInput(f"the window ends at {ends_at.isoformat()}, which is not after its start")
            if ends <= now:
                raise BadInput(f"the window ended already, at {ends_at.isoformat()}")
            window = MaintenanceWindow(
                id="", service=service, environment=environment, starts_at=begins, ends_at=ends, reason=reason, by=actor
            )
            inserted = connection.execute(
                insert(maintenance).values(
                    service=service, environment=environment, starts_at=stamp(window.starts_at),
                    ends_at=stamp(window.ends_at), document=_document(window),
                )
            )  # fmt: skip
            window = window.model_copy(update={"id": f"{_PREFIX}{inserted.inserted_primary_key[0]}"})  # type: ignore[index]
            self._audit.append(connection, "maintenance.added", window.id, _document(window), actor)
        return window

    def all(self, limit: int = 200) -> list[MaintenanceWindow]:
        """The newest windows, ended ones included, and all that have not ended; newest first."""
        query = select(maintenance).order_by(maintenance.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            found = {row.number: _window(row.number, row.document) for row in connection.execute(query)}
            going = planned(connection, self._database.now(connection, self._clock))
        found |= {_number(window.id): window for window in going}
        return [found[number] for number in sorted(found, reverse=True)]

    def end(self, identifier: str, actor: str) -> MaintenanceWindow:
        """End a window now, or call off one that has not begun. Raises NotFound, Conflict where it is over."""
        with self._database.write() as connection:
            now = self._database.now(connection, self._clock)
            number = _number(identifier)
            query = select(maintenance.c.document).where(maintenance.c.number == number).with_for_update()
            document = connection.execute(query).scalar()
            if document is None:
                raise NotFound(f"there is no maintenance window {identifier}")
            window = _window(number, document)
            if window.ended_at is not None or window.ends_at <= now:
                raise Conflict(f"{identifier} is over already, since {(window.ended_at or window.ends_at).isoformat()}")
            window = window.model_copy(update={"ended_at": now, "ended_by": actor})
            changed = update(maintenance).where(maintenance.c.number == number)
            connection.execute(changed.values(ends_at=stamp(now), document=_document(window)))
            self._audit.append(connection, "maintenance.ended", window.id, _document(window), actor)
        return window


def planned(connection: Connection, now: datetime) -> list[MaintenanceWindow]:
    """The windows that have not ended, whether begun or not."""
    return [_window(number, document) for number, document in connection.execute(_PLANNED, {"now": stamp(now)})]


def _number(identifier: str) -> int:
    return number_of(identifier, _PREFIX, "maintenance window")


def _document(window: MaintenanceWindow) -> dict[str, Any]:
    return window.model_dump(mode="json", exclude={"id"})


def _window(number: int, document: dict[str, Any]) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate({**document, "id": f"{_PREFIX}{number}"})


def utc(at: datetime) -> datetime:
    """The same instant in UTC. Raises BadInput for one that UTC has no calendar for."""
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise BadInput(f"{at.isoformat()} lies outside of the calendar; write an earlier year than 9999") from error


def stamp(at: datetime) -> str:
    """As columns have it, so that texts compare as instants do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
