"""The ticket system that needs none: tickets and their comments in Suture's own database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from pydantic import Field
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from models.domain.base import Clock, Frozen, Labels, Severity, Time
from models.domain.errors import BadInput, NotFound
from service.ports import Context, TicketDraft, TicketingError
from service.validation import read_config

_metadata = MetaData()
# SQLite numbers rows only through INTEGER, PostgreSQL wants BIGINT.
_Number = BigInteger().with_variant(Integer, "sqlite")

_tickets = Table(
    "tickets",
    _metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("key", String(300), nullable=False, unique=True),
    Column("incident", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("resolution", Text),
    Column("opened_at", String(40), nullable=False),
    Column("closed_at", String(40)),
)

_comments = Table(
    "ticket_comments",
    _metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("ticket", _Number, nullable=False),
    Column("key", String(300), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", String(40), nullable=False),
    UniqueConstraint("ticket", "key", name="ticket_comments_key"),
)


class TicketStatus(StrEnum):
    """Where a ticket stands. A closed one still takes comments, and a later resolution where its incident reopened."""

    OPEN = "open"
    CLOSED = "closed"


class TicketComment(Frozen):
    """One entry below a ticket, in Markdown; `kind` is `comment` or `resolution`."""

    kind: str
    text: str
    at: Time


class Ticket(Frozen):
    """A ticket as it is read. `comments` is empty in a list."""

    reference: str
    incident: str
    title: str
    body: str
    severity: Severity
    labels: Labels
    status: TicketStatus
    resolution: str | None
    opened_at: Time
    closed_at: Time | None
    comments: tuple[TicketComment, ...] = Field(default=())


class EmbeddedConfig(Frozen):
    """Settings section of the embedded tracker: it has no keys."""


class EmbeddedTicketing:
    """Tickets in the database of the store; the reference is `TCK-<number>`. Safe to use from several threads."""

    name = "embedded"

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Makes its tables where they are missing."""
        self._engine = engine
        self._clock = clock
        self._insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert
        with self._transaction() as connection:
            _create_tables(connection)

    def open(self, draft: TicketDraft, key: str) -> str:
        """A new ticket, or the one that this key opened before."""
        values = {
            "key": key,
            "incident": draft.incident,
            "title": draft.title,
            "body": draft.body,
            "severity": str(draft.severity),
            "labels": dict(draft.labels),
            "status": str(TicketStatus.OPEN),
            "opened_at": self._now(),
        }
        with self._transaction() as connection:
            connection.execute(self._insert(_tickets).values(values).on_conflict_do_nothing(index_elements=["key"]))
            number = connection.scalar(select(_tickets.c.number).where(_tickets.c.key == key))
        return f"TCK-{number}"

    def comment(self, reference: str, text: str, key: str) -> None:
        """Add a comment; a closed ticket takes it too."""
        with self._transaction() as connection:
            self._append(connection, reference, "comment", text, key)

    def close(self, reference: str, resolution: str, key: str) -> None:
        """Close it; with a new key on a closed ticket the newer resolution is the ticket's."""
        with self._transaction() as connection:
            if number := self._append(connection, reference, "resolution", resolution, key):
                closed = {"status": str(TicketStatus.CLOSED), "resolution": resolution, "closed_at": self._now()}
                connection.execute(update(_tickets).where(_tickets.c.number == number).values(closed))

    def get_ticket(self, reference: str) -> Ticket:
        """The ticket with all of its comments, oldest first. Raises NotFound."""
        number = _number(reference)
        with self._engine.connect() as connection:
            row = connection.execute(select(_tickets).where(_tickets.c.number == number)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"there is no ticket {reference}")
            comments = connection.execute(
                select(_comments).where(_comments.c.ticket == number).order_by(_comments.c.number)
            ).mappings()
            return _ticket(row, tuple(TicketComment.model_validate(_only(entry, TicketComment)) for entry in comments))

    def list_tickets(
        self, *, status: TicketStatus | None = None, incident: str | None = None, before: str | None = None,
        limit: int = 50,
    ) -> list[Ticket]:  # fmt: skip
        """The newest first, without comments. `before`: a reference; the page ends just under it."""
        query = select(_tickets).order_by(_tickets.c.number.desc()).limit(limit)
        if status is not None:
            query = query.where(_tickets.c.status == str(status))
        if incident is not None:
            query = query.where(_tickets.c.incident == incident)
        if before is not None:
            query = query.where(_tickets.c.number < _number(before))
        with self._engine.connect() as connection:
            return [_ticket(row) for row in connection.execute(query).mappings()]

    def _append(self, connection: Connection, reference: str, kind: str, words: str, key: str) -> int | None:
        """The ticket's number, or None where this key was there before. Raises TicketingError on no such ticket."""
        number = _reference_number(reference)
        # The first statement writes: SQLite would refuse a write after a read that another writer has overtaken.
        source = select(
            _tickets.c.number, literal(key), literal(kind), literal(words), literal(self._now())
        ).where(_tickets.c.number == number)  # fmt: skip
        added = connection.scalar(
            self._insert(_comments)
            .from_select(["ticket", "key", "kind", "text", "at"], source)
            .on_conflict_do_nothing(index_elements=["ticket", "key"])
            .returning(_comments.c.number)
        )
        if added is not None:
            return number
        if connection.scalar(select(_tickets.c.number).where(_tickets.c.number == number)) is None:
            raise TicketingError(f"there is no ticket {reference}", retriable=False)
        return None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise TicketingError(f"the tickets' database failed: {error.orig}", retriable=True) from error

    def _now(self) -> str:
        return self._clock().isoformat()


def _create_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Two replicas that start together: IF NOT EXISTS alone can still collide.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('suture:tickets'))"))
    for table in _metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))


def _reference_number(reference: str) -> int:
    try:
        return _number(reference)
    except NotFound as error:
        raise TicketingError(str(error), retriable=False) from error


def _number(reference: str) -> int:
    match = re.fullmatch(r"TCK-([0-9]{1,18})", reference)
    if match is None:
        raise NotFound(f"there is no ticket {reference!r}; a reference looks like TCK-7")
    return int(match[1])


def _ticket(row: RowMapping, comments: tuple[TicketComment, ...] = ()) -> Ticket:
    return Ticket.model_validate(
        {**_only(row, Ticket), "reference": f"TCK-{row['number']}", "comments": comments}
    )  # fmt: skip


def _only(row: RowMapping, model: type[Frozen]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in model.model_fields}


def build(config: Mapping[str, Any], context: Context) -> EmbeddedTicketing:
    """The tracker of an installation. Raises BadInput on a setting that it does not have, or without a database."""
    read_config(EmbeddedConfig, config, where="ticketing.config")
    if context.database is None:
        raise BadInput("the embedded tracker needs the installation's database", where="ticketing")
    return EmbeddedTicketing(context.database, context.clock)
