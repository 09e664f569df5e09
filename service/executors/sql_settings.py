"""The settings section `executors.sql`: which databases, which statements, which sessions may be touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.domain.base import Frozen
from service.executors.arguments import refused
from service.executors.typed_values import Scalar, TypedValue, VariableName, read_values

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""Of a database or a statement, in the settings. Holds no `/` and no `.`: `database/statement` can be taken apart."""
_READS = ("select", "with", "values", "table")
_WRITES = ("insert", "update", "delete", "merge", "with", "select")
"""What EXPLAIN takes too, so that a dry run is possible. `SELECT f()` calls a function that does what these cannot."""


class Statement(Frozen):
    """One allowed statement. `sql` holds parameters as `%(name)s`, bound by the server, and a literal `%` as `%%`.

    `max_rows_affected`: a write that touches more rows is rolled back. `max_rows`: rows that come back at most.
    `databases`: where it may run; none named means all. `idempotent`: running it twice is the same as once.
    """

    sql: str = Field(min_length=1, max_length=20_000)
    kind: Literal["read", "write"]
    parameters: dict[VariableName, TypedValue] = Field(default_factory=dict)
    databases: tuple[Name, ...] = ()
    max_rows_affected: int | None = Field(default=None, ge=1)
    max_rows: int = Field(default=100, ge=1, le=1000)
    idempotent: bool = False

    @field_validator("sql")
    @classmethod
    def _one(cls, text: str) -> str:
        return text.strip().removesuffix(";").rstrip()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        words = _READS if self.kind == "read" else _WRITES
        if (re.match(r"[A-Za-z]*", self.sql) or [""])[0].lower() not in words:
            raise ValueError(f"sql of kind {self.kind} must begin with one of {', '.join(words).upper()}")
        named = set(re.findall(r"%\(([^)]*)\)s", self.sql))
        if "%" in re.sub(r"%%|%\([^)]*\)s", "", self.sql):
            raise ValueError("sql holds a single %: write %(name)s for a parameter, %% for the character")
        if named != set(self.parameters):
            odd = ", ".join(sorted(named ^ set(self.parameters)))
            raise ValueError(f"sql and parameters do not name the same: {odd}")
        if (self.kind == "write") != (self.max_rows_affected is not None):
            raise ValueError("max_rows_affected is needed for a write, and only there")
        return self

    def values(self, given: Mapping[str, Any]) -> dict[str, Scalar]:
        """The value of each parameter, defaults filled in. Raises ExecutorError, without the values."""
        return read_values(self.parameters, given, "parameter")


class Sessions(Frozen):
    """Whose sessions `terminate-idle` and `cancel-long` may touch: globs of roles and databases, `max` at once."""

    users: tuple[str, ...] = Field(min_length=1)
    databases: tuple[str, ...] = Field(default=("*",), min_length=1)
    max: int = Field(default=20, ge=1, le=1000)


class Database(Frozen):
    """How one database is reached. `password` is a secret reference; `host` may be the folder of a unix socket.

    `journal`: a table `(key text PRIMARY KEY, at timestamptz, rows bigint)` that the operator made, by which a write
    that was cut off is asked for its effect.
    """

    host: str = Field(pattern=r"^[A-Za-z0-9_.:/-]+$")
    port: int = Field(default=5432, ge=1, le=65_535)
    database: str = Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f]+$")
    user: str = Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f]+$")
    password: str | None = None
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "verify-full"
    """As libpq means it. Over a unix socket there is no TLS, whatever it says."""
    ca: Path | None = None
    """Certificates that the server's is verified by; without it those of the system."""
    journal: str | None = Field(default=None, pattern=r"^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$")
    sessions: Sessions | None = None
    """Without it the session verbs are refused."""

    @field_validator("ca")
    @classmethod
    def _file(cls, ca: Path | None) -> Path | None:
        if ca is not None and not ca.is_file():
            raise ValueError(f"{ca} is not a file")
        return ca


class SqlConfig(Frozen):
    """Settings section `executors.sql`."""

    databases: dict[Name, Database] = Field(min_length=1)
    statements: dict[Name, Statement] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, statement in self.statements.items():
            if unknown := sorted(set(statement.databases) - self.databases.keys()):
                raise ValueError(f"statements.{name}.databases names {unknown[0]!r}, which is not configured")
        return self

    def database(self, name: str) -> Database:
        """The database of that name. Raises ExecutorError."""
        if (database := self.databases.get(name)) is None:
            raise refused(f"no database {name!r} is configured; there is {', '.join(sorted(self.databases))}")
        return database

    def statement(self, name: str, database: str) -> Statement:
        """The statement of that name, allowed on that database. Raises ExecutorError."""
        statement = self.statements.get(name)
        if statement is None or (statement.databases and database not in statement.databases):
            raise refused(f"statement {name} is not allowed on {database}; add it to executors.sql.statements")
        return statement
