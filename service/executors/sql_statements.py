"""Runs one allowed statement in one transaction, with a journal that knows afterwards whether it was committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from models.domain.base import Frozen
from service.executors.arguments import refused
from service.executors.sql_connection import Link, plain
from service.executors.sql_settings import Name, Statement
from service.executors.typed_values import Scalar, VariableName
from service.ports import Effect, ExecutorError

if TYPE_CHECKING:
    from psycopg.sql import Composed

_PLAN_CHARACTERS = 4000
_LOCK_NOT_AVAILABLE = "55P03"
_QUERY_CANCELED = "57014"


class RunInputs(Frozen):
    """A statement by the name that the settings give it, on one of the configured databases."""

    database: Name
    statement: Name
    parameters: dict[VariableName, Scalar] = Field(default_factory=dict, max_length=32)


class RunOutputs(Frozen):
    """`rows`: that came back (read) or were touched (write). `returned`: what came back, at most `max_rows` of it.

    `repeated`: the journal knew this act already; nothing was done again.
    """

    rows: int
    returned: tuple[dict[str, Any], ...]
    truncated: bool
    repeated: bool


@dataclass(frozen=True)
class StatementAct:
    """One use of one statement, on a connection with an open transaction. `key` is the act's; `journal` a table."""

    link: Link
    statement: Statement
    values: Mapping[str, Scalar]
    key: str
    journal: str | None

    def explain(self) -> str:
        """The server's plan; the statement is not executed, and the transaction could not write."""
        self.link.connection.read_only = True
        self.link.limit()
        if self.journal is not None:  # that it can be used is found now, not in the act
            self.link.connection.execute(self._journal("SELECT key, at, rows FROM {} LIMIT 0"))
        rows = self.link.connection.execute(
            _bytes(f"EXPLAIN {self.statement.sql}"), self.values, prepare=True
        ).fetchall()
        self.link.connection.rollback()
        return "\n".join(str(row[0]) for row in rows)[:_PLAN_CHARACTERS]

    def read(self) -> RunOutputs:
        """The rows of a read, of which no more than are shown leave the server."""
        import psycopg

        most = self.statement.max_rows
        self.link.connection.read_only = True
        self.link.limit()
        with self.link.connection.cursor(name="suture", row_factory=psycopg.rows.dict_row) as cursor:
            cursor.execute(_bytes(self.statement.sql), self.values)
            rows = cursor.fetchmany(most + 1)
        self.link.connection.rollback()
        shown = tuple(plain(row) for row in rows[:most])
        return RunOutputs(rows=len(shown), returned=shown, truncated=len(rows) > most, repeated=False)

    def write(self) -> RunOutputs:
        """Run it and commit, unless it touched more rows than allowed. Raises ExecutorError."""
        self.link.limit()
        known = self._enter()
        if known is not None:
            return RunOutputs(rows=known, returned=(), truncated=False, repeated=True)
        touched, rows = self._execute()
        most = self.statement.max_rows_affected or 0
        if touched > most:
            raise refused(f"it touched {touched} rows, and {most} are allowed; rolled back")
        if self.journal is not None:
            self.link.connection.execute(self._journal("UPDATE {} SET rows = %s WHERE key = %s"), (touched, self.key))
        self.link.commit()
        shown = tuple(plain(row) for row in rows[: self.statement.max_rows])
        return RunOutputs(rows=touched, returned=shown, truncated=len(rows) > len(shown), repeated=False)

    def observe(self) -> Effect:
        """What the journal says, once an attempt that may still be at work in the server has ended.

        Entering the same key waits for such an attempt; that entry is rolled back.
        """
        import psycopg

        self.link.limit()
        try:
            known = self._enter()
        except psycopg.Error as error:
            if error.sqlstate in (_LOCK_NOT_AVAILABLE, _QUERY_CANCELED):
                return Effect.UNKNOWN  # it is still at work
            raise
        finally:
            self.link.connection.rollback()
        return Effect.ABSENT if known is None else Effect.HAPPENED

    def _enter(self) -> int | None:
        """Enter the key into the journal, in this transaction; where it is known, the rows that it touched."""
        if self.journal is None:
            return None
        run = self.link.connection.execute
        entry = "INSERT INTO {} (key, at, rows) VALUES (%s, now(), 0) ON CONFLICT (key) DO NOTHING"
        if run(self._journal(entry), (self.key,)).rowcount:
            return None
        row = run(self._journal("SELECT rows FROM {} WHERE key = %s"), (self.key,)).fetchone()
        if row is None:
            raise ExecutorError(f"{self.link.name}: the journal entry was removed meanwhile", effect=Effect.UNKNOWN)
        return int(row[0])

    def _execute(self) -> tuple[int, list[dict[str, Any]]]:
        import psycopg

        before = self._counted()
        with self.link.connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            # Prepared: the server takes one command only, and binds the values itself.
            cursor.execute(_bytes(self.statement.sql), self.values, prepare=True)
            rows = cursor.fetchall() if cursor.description else []
            touched = cursor.rowcount
        # What triggers, cascades, functions and inner parts of WITH touched counts too.
        return max(touched, self._counted() - before), rows

    def _counted(self) -> int:
        row = self.link.connection.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_xact_user_tables"
        ).fetchone()
        return int(row[0]) if row else 0

    def _journal(self, text: str) -> Composed:
        from psycopg.sql import SQL, Identifier

        assert self.journal is not None
        return SQL(text).format(Identifier(*self.journal.split(".")))


def _bytes(text: str) -> bytes:
    # The settings' text: psycopg takes only literals as str, so that nobody composes SQL by chance.
    return text.encode()
