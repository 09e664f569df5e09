"""Incidents in the database: documents with a version, a status that changes by compare-and-set, and a timeline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from models.domain.base import Clock
from models.domain.errors import Conflict, NotFound
from models.domain.incident import (
    ACTIVE_STATUSES,
    INCIDENT_TRANSITIONS,
    WORKING_STATUSES,
    Incident,
    IncidentStatus,
    Request,
    TimelineEntry,
)
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.identifiers import number_of
from service.store.tables import incidents, timeline

_PREFIX = "INC-"
_STORED_APART = {"id", "status", "version", "timeline", "ended_at"}


def incident_number(identifier: str) -> int:
    """The number in `INC-<number>`. Raises NotFound where it is not of that form."""
    return number_of(identifier, _PREFIX, "incident", "incidents are named")


class Incidents:
    """The repository of incidents. Methods that take a connection take part in the caller's transaction."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def add(self, connection: Connection, draft: Incident) -> Incident:
        """Store a new incident and give it its identifier."""
        inserted = connection.execute(
            insert(incidents).values(
                status=draft.status, environment=draft.environment, severity=draft.severity, version=1,
                ticket_updates=0, updated_at=draft.updated_at.isoformat(), document=_document(draft),
            )
        )  # fmt: skip
        number = int(inserted.inserted_primary_key[0])  # type: ignore[index]
        incident = draft.model_copy(update={"id": f"{_PREFIX}{number}", "version": 1})
        self._audit.append(
            connection, "incident.opened", incident.id, {"title": incident.title, "severity": incident.severity}
        )
        self.note(connection, incident.id, "opened", incident.title, {"signals": [s.name for s in incident.signals]})
        return incident

    def save(self, connection: Connection, incident: Incident) -> Incident:
        """Store a changed document (all but status and timeline). Raises Conflict where it changed meanwhile."""
        changed = connection.execute(
            update(incidents)
            .where(incidents.c.number == incident_number(incident.id), incidents.c.version == incident.version)
            .values(
                environment=incident.environment, severity=incident.severity, version=incident.version + 1,
                updated_at=self._clock().isoformat(), document=_document(incident),
            )
        )  # fmt: skip
        if changed.rowcount != 1:
            raise Conflict(f"{incident.id} was changed by someone else meanwhile")
        return incident.model_copy(update={"version": incident.version + 1})

    def change(self, identifier: str, changed: Callable[[Incident], Incident]) -> Incident:
        """Store what `changed` makes of the document as it is now; nobody else changes it meanwhile."""
        with self._database.write() as connection:
            row = self._locked(connection, identifier)
            return self.save(connection, changed(_incident(row)))

    def begin_episode(self, identifier: str, episode: int, reason: str) -> None:
        """Open the incident again for its next episode, where it is still handed over and nobody was quicker."""
        with self._database.write() as connection:
            incident = _incident(self._locked(connection, identifier))
            if incident.status is IncidentStatus.ESCALATED and incident.episode == episode - 1:
                self._begin(connection, incident, None, reason, "suture")

    def request(self, identifier: str, request: Request) -> Incident:
        """Open an incident that a person has for one more episode, in which Suture does what the person asks.

        Raises NotFound, or Conflict where Suture works on the incident, or where it ended.
        """
        with self._database.write() as connection:
            incident = _incident(self._locked(connection, identifier))
            if incident.status is not IncidentStatus.ESCALATED:
                mend = "cancel or reject what waits first" if incident.status in WORKING_STATUSES else "it ended"
                raise Conflict(f"{identifier} is {incident.status}: {mend}")
            reason = f"{request.by} asks for {request.runbook}/{request.action}"
            self._begin(connection, incident, request, reason, request.by)
        return self.get(identifier)

    def _begin(
        self, connection: Connection, incident: Incident, request: Request | None, reason: str, actor: str
    ) -> None:
        changes = {"episode": incident.episode + 1, "abstained_with": None, "requested": request}
        self.save(connection, incident.model_copy(update=changes))
        self.transition_in(connection, incident.id, IncidentStatus.OPEN, reason, actor=actor)

    def transition(
        self,
        identifier: str,
        to: IncidentStatus,
        reason: str,
        *,
        actor: str = "suture",
        data: dict[str, Any] | None = None,
    ) -> bool:
        """Move an incident to a status. False where it is there already; raises Conflict where it may not go there."""
        with self._database.write() as connection:
            return self.transition_in(connection, identifier, to, reason, actor=actor, data=data)

    def transition_in(
        self,
        connection: Connection,
        identifier: str,
        to: IncidentStatus,
        reason: str,
        *,
        actor: str = "suture",
        data: dict[str, Any] | None = None,
    ) -> bool:
        """As `transition`, in the caller's transaction."""
        row = self._locked(connection, identifier)
        return self._move(connection, row, to, reason, actor, data or {})

    def advance(
        self, identifier: str, episode: int, to: IncidentStatus, reason: str, data: dict[str, Any] | None = None
    ) -> bool:
        """Move an incident on as its remediation goes on; False, and no change, where it is no longer Suture's.

        That is where a person ended or took it, or where it is in a later episode. Raises Conflict as `transition`.
        """
        with self._database.write() as connection:
            row = self._locked(connection, identifier)
            if row.document["episode"] != episode:
                return False
            if row.status not in WORKING_STATUSES and row.status != to:
                return False
            self._move(connection, row, to, reason, "suture", data or {})
            return True

    def _move(
        self, connection: Connection, row: Row[Any], to: IncidentStatus, reason: str, actor: str, data: dict[str, Any]
    ) -> bool:
        current, identifier, now = IncidentStatus(row.status), f"{_PREFIX}{row.number}", self._clock().isoformat()
        if current is to:
            return False
        if to not in INCIDENT_TRANSITIONS[current]:
            raise Conflict(f"{identifier} is {current}; it cannot become {to}")
        values: dict[str, Any] = {"status": to, "updated_at": now}
        values["ended_at"] = now if to not in ACTIVE_STATUSES else None
        # The ticket's update is owed from the same instant on: a crash cannot lose it.
        values["ticket_owed"] = f"{to} {now}" if to not in WORKING_STATUSES else None
        connection.execute(update(incidents).where(incidents.c.number == row.number).values(**values))
        details = {"from": current, "to": to, "reason": reason, **data}
        self._audit.append(connection, f"incident.{to}", identifier, details, actor)
        by = {} if actor == "suture" else {"by": actor}
        self.note(connection, identifier, str(to), reason, {**data, **by})
        return True

    def _locked(self, connection: Connection, identifier: str) -> Row[Any]:
        query = select(incidents).where(incidents.c.number == incident_number(identifier)).with_for_update()
        row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"there is no incident {identifier}")
        return row

    def note(
        self,
        connection: Connection,
        identifier: str,
        kind: str,
        text: str,
        data: dict[str, Any],
        key: str | None = None,
    ) -> None:
        """Add to the timeline. With a key, a second entry of the same key is left out."""
        number = incident_number(identifier)
        if key is not None:
            known = select(timeline.c.number).where(timeline.c.incident == number, timeline.c.key == key)
            if connection.execute(known).first():
                return
        entry = TimelineEntry(at=self._clock(), kind=kind, text=text, data=data)
        connection.execute(insert(timeline).values(incident=number, key=key, entry=entry.model_dump(mode="json")))

    def held(self, connection: Connection, identifier: str) -> Incident:
        """One incident without its timeline; nobody else changes it until the transaction ends. Raises NotFound."""
        return _incident(self._locked(connection, identifier))

    def regrouped(
        self, connection: Connection, identifier: str, kind: str, text: str, data: dict[str, Any], actor: str
    ) -> None:
        """Tell the timeline, the audit log and, where nothing else is owed to it, the ticket of a merge or a split."""
        self.note(connection, identifier, kind, text, data)
        self._audit.append(connection, f"incident.{kind}", identifier, data, actor)
        owed = update(incidents).where(
            incidents.c.number == incident_number(identifier), incidents.c.ticket_owed.is_(None)
        )
        connection.execute(owed.values(ticket_owed=f"{kind} {self._clock().isoformat()}"))

    def record(
        self, identifier: str, kind: str, text: str, data: dict[str, Any] | None = None, key: str | None = None
    ) -> None:
        """As `note`, in a transaction of its own."""
        with self._database.write() as connection:
            self.note(connection, identifier, kind, text, data or {}, key)

    def set_ticket(self, identifier: str, reference: str) -> None:
        """Remember the ticket that was opened for an incident."""
        with self._database.write() as connection:
            connection.execute(
                update(incidents).where(incidents.c.number == incident_number(identifier)).values(ticket=reference)
            )

    def ticket(self, identifier: str) -> str | None:
        """The ticket's reference."""
        query = select(incidents.c.ticket).where(incidents.c.number == incident_number(identifier))
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def tickets_owed(self) -> list[tuple[str, str]]:
        """Incidents that ended or were handed over since their tickets were told; with what `ticket_told` takes."""
        query = select(incidents.c.number, incidents.c.ticket_owed).where(incidents.c.ticket_owed.is_not(None))
        with self._database.read() as connection:
            return [(f"{_PREFIX}{row.number}", row.ticket_owed) for row in connection.execute(query)]

    def ticket_told(self, identifier: str, owed: str) -> None:
        """The ticket's update is on its way; one that became due meanwhile stays owed."""
        told = update(incidents).where(
            incidents.c.number == incident_number(identifier), incidents.c.ticket_owed == owed
        )
        with self._database.write() as connection:
            connection.execute(told.values(ticket_owed=None))

    def has_ticket_updates(self, identifier: str) -> bool:
        """Whether anything was ever put on the way to the incident's ticket."""
        query = select(incidents.c.ticket_updates).where(incidents.c.number == incident_number(identifier))
        with self._database.read() as connection:
            return bool(connection.execute(query).scalar())

    def next_ticket_update(self, identifier: str) -> int:
        """The place of the next update of the incident's ticket: 1, 2, …"""
        counted = (
            update(incidents)
            .where(incidents.c.number == incident_number(identifier))
            .values(ticket_updates=incidents.c.ticket_updates + 1)
            .returning(incidents.c.ticket_updates)
        )
        with self._database.write() as connection:
            return int(connection.execute(counted).scalar_one())

    def get(self, identifier: str) -> Incident:
        """One incident with its timeline. Raises NotFound."""
        number = incident_number(identifier)
        with self._database.read() as connection:
            row = connection.execute(select(incidents).where(incidents.c.number == number)).first()
            entries = connection.execute(
                select(timeline.c.entry).where(timeline.c.incident == number).order_by(timeline.c.number)
            ).scalars()
            if row is None:
                raise NotFound(f"there is no incident {identifier}")
            return _incident(row, tuple(TimelineEntry.model_validate(entry) for entry in entries))

    def page(
        self,
        *,
        after: int | None = None,
        limit: int = 50,
        statuses: Collection[IncidentStatus] = (),
        environment: str | None = None,
    ) -> list[Incident]:
        """Incidents, newest first, older than number `after`; without their timelines."""
        query = select(incidents).order_by(incidents.c.number.desc()).limit(limit)
        if after is not None:
            query = query.where(incidents.c.number < after)
        if statuses:
            query = query.where(incidents.c.status.in_(list(statuses)))
        if environment is not None:
            query = query.where(incidents.c.environment == environment)
        with self._database.read() as connection:
            return [_incident(row) for row in connection.execute(query)]

    def active(self, connection: Connection) -> list[Incident]:
        """All incidents that still take signals, oldest first; held until the transaction ends."""
        query = select(incidents).where(incidents.c.status.in_(list(ACTIVE_STATUSES))).order_by(incidents.c.number)
        return [_incident(row) for row in connection.execute(query.with_for_update())]

    def ended_since(self, connection: Connection, since: datetime) -> list[Incident]:
        """Incidents that ended at `since` or later: a signal of theirs reopens one. Held as those of `active`."""
        ended = incidents.c.status.not_in(list(ACTIVE_STATUSES))
        query = select(incidents).where(ended, incidents.c.ended_at >= since.isoformat()).order_by(incidents.c.number)
        return [_incident(row) for row in connection.execute(query.with_for_update())]

    def is_worked_on(self, identifier: str, episode: int) -> bool:
        """Whether that episode is still Suture's: not ended, not a person's, no later one begun. Raises NotFound."""
        incident = self.get(identifier)
        return incident.status in WORKING_STATUSES and incident.episode == episode

    def episodes(self, statuses: Collection[IncidentStatus]) -> list[tuple[str, int]]:
        """Identifiers and present episodes of the incidents in any of the statuses, oldest first."""
        episode = incidents.c.document["episode"].as_integer()
        query = select(incidents.c.number, episode).where(incidents.c.status.in_(list(statuses)))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(incidents.c.number)).all()
        return [(f"{_PREFIX}{number}", int(in_episode)) for number, in_episode in rows]

    def unmatched(self) -> list[Incident]:
        """All incidents that were handed over with nothing to recommend, oldest first; without their timelines."""
        known = incidents.c.document["abstained_with"].as_string()
        query = select(incidents).where(incidents.c.status == IncidentStatus.ESCALATED, known.is_not(None))
        with self._database.read() as connection:
            return [_incident(row) for row in connection.execute(query.order_by(incidents.c.number))]

    def counts(self) -> dict[str, int]:
        """How many incidents are in each status."""
        query = select(incidents.c.status, func.count().label("number_of")).group_by(incidents.c.status)
        with self._database.read() as connection:
            return {row.status: row.number_of for row in connection.execute(query)}


def _document(incident: Incident) -> dict[str, Any]:
    return incident.model_dump(mode="json", exclude=_STORED_APART)


def _incident(row: Row[Any], entries: Sequence[TimelineEntry] = ()) -> Incident:
    return Incident.model_validate(
        {
            **row.document,
            "id": f"{_PREFIX}{row.number}",
            "status": row.status,
            "version": row.version,
            "ended_at": row.ended_at,
            "timeline": entries,
        }
    )
