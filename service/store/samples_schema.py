"""The tables of the sample store, and transactions on them: writers take turns, errors become words for a user."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.domain.errors import BadInput, Unavailable

VERSION = 1
"""Layout of the tables. Another number in the database: they are dropped and made anew."""

_METADATA = sa.MetaData()

META = sa.Table(
    "telemetry_meta",
    _METADATA,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("generation", sa.Text, nullable=False),
)
"""One row. Locking it is how writers take turns; `generation` changes whenever series were removed."""

SERIES = sa.Table(
    "telemetry_series",
    _METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
    # Without it SQLite gives the id of a removed series to another one, which a reader's cache would mix up.
    sqlite_autoincrement=True,
)

SAMPLES = sa.Table(
    "telemetry_samples",
    _METADATA,
    sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("value", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)
"""`at` is in unix milliseconds."""

_SETUP_LOCK = 0x5375_7475_7265
"""PostgreSQL advisory lock that is held while the tables are made."""

TABLES = tuple(_METADATA.tables)


class Database:
    """Connections to where the samples are kept."""

    def __init__(self, url: str) -> None:
        """Connect and make the tables. Raises BadInput (not a URL that can be used) or Unavailable."""
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(sample_store_writer=True)
        with _worded(), self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SETUP_LOCK)))
            _make_tables(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that reads."""
        with _worded(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that writes, alone among all processes."""
        with _worded(), self._writer.begin() as connection:
            connection.execute(sa.select(META.c.version).with_for_update())
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()


def generation(connection: sa.Connection) -> str:
    """The word that names the present set of series ids."""
    return str(connection.execute(sa.select(META.c.generation)).scalar_one())


def renew_generation(connection: sa.Connection) -> None:
    """Tell every process that series were removed."""
    connection.execute(sa.update(META).values(generation=uuid.uuid4().hex))


def _make_tables(connection: sa.Connection) -> None:
    present = sa.inspect(connection).has_table(META.name)
    if present and connection.execute(sa.select(META.c.version)).scalars().all() == [VERSION]:
        return
    _METADATA.drop_all(connection)
    _METADATA.create_all(connection)
    connection.execute(sa.insert(META), {"version": VERSION, "generation": uuid.uuid4().hex})


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        # The URL is not repeated: it may hold a password.
        raise BadInput("the samples' database URL cannot be read; write sqlite:///FILE or postgresql://…") from error
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise BadInput(f"samples cannot be kept in {parsed.drivername}; write sqlite:///FILE or postgresql://…")
    Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    # The timeout, in seconds, is how long a writer waits for its turn.
    engine = sa.create_engine(parsed, connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Transactions are opened by `_begin_sqlite`; the driver's own would begin too late to take turns.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("sample_store_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise Unavailable(f"the sample store does not answer: {str(error.orig).strip().splitlines()[0]}") from error
