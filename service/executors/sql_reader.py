"""Answers `sql` checks: `service.checks.SqlReader`, by the read statements of the settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.domain.errors import BadInput, Unavailable
from models.domain.signal import Sample
from service.checks import READING_SECONDS
from service.executors.sql_connection import link
from service.executors.sql_settings import SqlConfig, Statement
from service.ports import ExecutorError

_NUMERIC = frozenset({20, 21, 23, 700, 701, 1700})
"""Types that can be a value: int8, int2, int4, float4, float8, numeric. Source: pg_type.dat of PostgreSQL."""


class StatementReader:
    """Reads samples. Opens a connection for each reading; safe to use from several threads."""

    def __init__(self, config: SqlConfig, secret: Callable[[str], str]) -> None:
        """`secret` resolves the reference of a password; asked at each reading."""
        self._config = config
        self._secret = secret

    def read(self, name: str, at: datetime, seconds: float = READING_SECONDS) -> list[Sample]:
        """The rows of the read statement `DATABASE/STATEMENT`, its parameters at their defaults.

        In a read-only transaction that ends after `seconds`. Raises BadInput (cannot be asked) or Unavailable (no
        answer).
        """
        where, _, called = name.partition("/")
        try:
            database = self._config.database(where)
            statement = self._config.statement(called, where)
            values = statement.values({})
        except ExecutorError as error:
            raise BadInput(f"{name}: {error}") from error
        if statement.kind != "read":
            raise BadInput(f"{name} is a write; a check names a statement of kind read")
        try:
            with link(database, where, secret=self._secret, key="check", seconds=seconds) as made:
                made.connection.read_only = True
                made.limit()
                with made.connection.cursor(name="suture") as cursor:
                    cursor.execute(statement.sql.encode(), values)
                    columns = [(column.name, column.type_code) for column in cursor.description or ()]
                    rows = cursor.fetchmany(statement.max_rows + 1)
        except ExecutorError as error:
            raise Unavailable(str(error)) from error
        return _samples(name, statement, columns, rows, at)


def _samples(
    name: str,
    statement: Statement,
    columns: Sequence[tuple[str, int]],
    rows: Sequence[Sequence[Any]],
    at: datetime,
) -> list[Sample]:
    numeric = [column for column, type_code in columns if type_code in _NUMERIC]
    if len(numeric) != 1:
        raise BadInput(f"{name} has {len(numeric)} numeric columns; a check needs one, cast the others to text")
    if len(rows) > statement.max_rows:
        raise BadInput(f"{name} gives more than {statement.max_rows} rows; aggregate, or raise its max_rows")
    names = [column for column, _ in columns]
    return [_sample(dict(zip(names, row, strict=True)), numeric[0], at) for row in rows]


def _sample(row: Mapping[str, Any], value: str, at: datetime) -> Sample:
    # As in PromQL a label without a value is none; no number is no evidence, and NaN satisfies no condition.
    labels = {name: str(content) for name, content in row.items() if name != value and content is not None}
    return Sample(labels=labels, at=at, value=_number(row[value]))


def _number(content: Decimal | float | None) -> float:
    return math.nan if content is None else float(content)
