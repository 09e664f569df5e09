"""Opening the database: SQLite in WAL mode or PostgreSQL by URL, migrated to the newest tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from models.domain.base import Clock
from models.domain.errors import BadInput, Unavailable

ADMISSION = "admission"
"""The lock of whoever starts an execution, turns the kill switch or plans maintenance: one after the other."""

CORRELATE = "correlate"
"""The lock of whoever opens or changes incidents by signals, or puts events on them."""

_BUSY_TIMEOUT_MS = 30_000
# A process that is stopped or cut off in the middle of a transaction would block the kill switch of all replicas:
# the server ends a session that holds a lock and says nothing for so long.
_STUCK_SECONDS = 20
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtext(:name)), set_config('idle_in_transaction_session_timeout', :idle, true)"
)
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_WRITES = "suture_writes"
_ONE_VIEW = "REPEATABLE READ"
# Whatever the server's default is: who waited for a lock must see what its holder wrote.
_NEWEST = "READ COMMITTED"


class Database:
    """An engine with the two kinds of transaction that Suture uses."""

    def __init__(self, url: str) -> None:
        """Raises BadInput for a URL that is not one of SQLite or PostgreSQL."""
        self.url = url
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # PostgreSQL's default shows each statement its own instant; SQLite's readers have one view anyway.
        self._reading = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_ONE_VIEW)
        self._view: ContextVar[Connection | None] = ContextVar("view", default=None)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; nothing is written."""
        joined = self._view.get()
        if joined is not None:
            yield joined
            return
        with self._reading.begin() as connection:
            yield connection

    @contextmanager
    def one_view(self) -> Iterator[None]:
        """All that this thread reads inside the block is of one instant, and costs one transaction."""
        with self.read() as connection:
            token = self._view.set(connection)
            try:
                yield
            finally:
                self._view.reset(token)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All of it or nothing of it. SQLite's write lock is taken at once: a second writer waits, not fails."""
        with self.engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
            yield connection

    def lock(self, connection: Connection, name: str) -> None:
        """Hold a lock of that name over all replicas until the transaction ends. (SQLite's write lock is one.)"""
        if not self.is_sqlite:
            connection.execute(_LOCK, {"name": f"suture:{name}", "idle": f"{_STUCK_SECONDS}s"})

    def now(self, connection: Connection, clock: Clock) -> datetime:
        """The one time of all replicas, in UTC: PostgreSQL's own. With SQLite they are on one machine: `clock`."""
        if self.is_sqlite:
            return clock()
        at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return at.astimezone(UTC)

    def migrate(self) -> None:
        """Bring the tables to the newest revision; replicas that start together take turns.

        Raises Unavailable, or BadInput for tables of a newer version.
        """
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        try:
            with self.write() as connection:
                self.lock(connection, "migrate")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except DBAPIError as error:  # not there, no database, or not ours to write: each says it in its own words
            raise Unavailable(f"the database {self.shown} cannot be opened: {error.orig}") from error
        except CommandError as error:  # a revision that this version does not have
            words = f"the database {self.shown} was written by a newer Suture; run that version, or another database"
            raise BadInput(words) from error

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return make_url(self.url).render_as_string(hide_password=True)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(url: str) -> Database:
    """A migrated database at the URL; for SQLite the file and its folder are made."""
    database = Database(url)
    database.migrate()
    return database


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise BadInput(f"the database URL cannot be read: {error}", where="SUTURE_DATABASE_URL") from error
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            url, isolation_level=_NEWEST, pool_pre_ping=True, pool_size=10, max_overflow=20, json_serializer=_json
        )
    if parsed.get_backend_name() != "sqlite":
        raise BadInput(
            f"{parsed.get_backend_name()} is not supported; use sqlite or postgresql", where="SUTURE_DATABASE_URL"
        )
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"check_same_thread": False}, json_serializer=_json)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _json(value: Any) -> str:
    """A document's JSON, without NUL: where one holds it, PostgreSQL can read none of its fields, and fails the query.

    One alert with NUL in its text would otherwise stop the work on all incidents.
    """
    text = json.dumps(value)
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling starts them too late; `_begin_sqlite` starts them instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # an accepted signal survives a power cut
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
