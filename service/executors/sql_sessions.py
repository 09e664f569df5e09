"""Ends idle sessions and long queries of a PostgreSQL: those that were seen before the act, if still as they were."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from models.domain.base import Duration, Frozen, format_duration
from service.executors.arguments import refused
from service.executors.sql_connection import Link
from service.executors.sql_settings import Name, Sessions
from service.ports import ExecutorError

_POLL = 0.1
"""Seconds between two looks at sessions that were told to end."""
_SHOWN = 10
"""Sessions that words name; the others are counted."""

Word = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f]+$")]


class SessionInputs(Frozen):
    """Sessions of a configured database's server. `user`, `in_database` and `application` are exact names."""

    database: Name
    longer_than: Duration
    user: Word | None = None
    in_database: Word | None = None
    application: Word | None = None
    max: int = Field(default=10, ge=1, le=1000)
    """The longest ones first; the settings may allow fewer."""

    @field_validator("longer_than")
    @classmethod
    def _some(cls, longest: timedelta) -> timedelta:
        if longest < timedelta(seconds=1):
            raise ValueError("must be 1s or more: every session is idle for an instant")
        return longest


class TerminateInputs(SessionInputs):
    """Which idle sessions. `in-transaction` holds locks and old rows; `any` takes plainly idle ones too."""

    state: Literal["in-transaction", "idle", "any"] = "in-transaction"


class CancelInputs(SessionInputs):
    """Which running queries."""


class SessionOutputs(Frozen):
    """How many were ended, whose, and how many more match but were above `max`."""

    ended: int
    sessions: tuple[str, ...]
    left: int


_IDLE = {
    "in-transaction": ["idle in transaction", "idle in transaction (aborted)"],
    "idle": ["idle"],
    "any": ["idle", "idle in transaction", "idle in transaction (aborted)"],
}

# A period is told apart by its start: of being idle (`state_change`), of one query (`query_start`).
_FIND = """
    SELECT pid, extract(epoch FROM backend_start)::text, extract(epoch FROM {since})::text,
           usename, datname, application_name, state, extract(epoch FROM clock_timestamp() - {since})::float8
    FROM pg_stat_activity AS session JOIN pg_roles ON pg_roles.oid = session.usesysid
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND NOT rolsuper AND NOT rolreplication
      AND usename NOT IN (current_user, session_user) AND state = ANY(%(states)s)
      AND {since} < clock_timestamp() - %(longer)s
      AND (%(user)s::text IS NULL OR usename = %(user)s) AND (%(within)s::text IS NULL OR datname = %(within)s)
      AND (%(application)s::text IS NULL OR application_name = %(application)s)
    ORDER BY {since}
"""
_CHOSEN = """
    FROM pg_stat_activity AS session
    JOIN unnest(%s::int[], %s::numeric[], %s::numeric[]) AS chosen(pid, born, began)
      ON session.pid = chosen.pid AND extract(epoch FROM backend_start) = born AND extract(epoch FROM {since}) = began
    WHERE state = ANY(%s)
"""
_RIGHTS = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), pg_has_role(current_user, %s, 'USAGE')"


@dataclass(frozen=True)
class _Kind:
    """One of the two verbs: `since` is the column that a period begins at, `signal` the function that ends it."""

    since: str
    signal: str
    word: str

    def states(self, inputs: SessionInputs) -> list[str]:
        return _IDLE[inputs.state] if isinstance(inputs, TerminateInputs) else ["active"]


_KINDS = {
    "terminate-idle": _Kind("state_change", "pg_terminate_backend", "idle"),
    "cancel-long": _Kind("query_start", "pg_cancel_backend", "running"),
}


class Session(Frozen):
    """One session in one period of being idle, or of one query. The times are the server's, in unix seconds."""

    pid: int
    born: str
    began: str
    words: str


@dataclass(frozen=True)
class SessionAct:
    """One use of a session verb, on a connection where each statement is a transaction of its own."""

    link: Link
    verb: str
    inputs: SessionInputs
    allowed: Sessions
    sleep: Callable[[float], None] = time.sleep

    def find(self) -> tuple[list[Session], int]:
        """Those that would be ended, the longest first, and how many more match. Raises ExecutorError."""
        self._check_rights()
        inputs = self.inputs
        rows = self.link.connection.execute(
            _FIND.format(since=self._kind.since),
            {
                "states": self._kind.states(inputs),
                "longer": inputs.longer_than,
                "user": inputs.user,
                "within": inputs.in_database,
                "application": inputs.application,
            },
        ).fetchall()
        found = [self._session(row) for row in rows if self._may(row)]
        most = min(inputs.max, self.allowed.max)
        return found[:most], max(0, len(found) - most)

    def end(self, chosen: Sequence[Session]) -> list[Session]:
        """Signal those that are still in the same period, and wait until none is; returns those that were signalled.

        Raises ExecutorError.
        """
        if not chosen:
            return []
        self._check_rights()
        self.link.confirm()
        self.link.committing = True  # a signal that was sent cannot be taken back
        signalled = {row[0] for row in self._ask(f"SELECT session.pid, {self._kind.signal}(session.pid)", chosen)}
        while left := self.remaining(chosen):
            if self.link.cancelled:
                raise ExecutorError(f"cancelled by a person; {left} of {len(chosen)} sessions had not ended yet")
            if self.link.deadline - self.link.monotonic() <= _POLL:
                raise ExecutorError(f"{left} of {len(chosen)} sessions did not end in time")
            self.sleep(_POLL)
        return [session for session in chosen if session.pid in signalled]

    def remaining(self, chosen: Sequence[Session]) -> int:
        """How many of them are still in the same period."""
        return len(self._ask("SELECT session.pid", chosen))

    def describe(self, found: Sequence[Session], left: int) -> str:
        """What would be ended, in words."""
        what = "end the session" if self.verb == "terminate-idle" else "cancel the query"
        if not found:
            least = format_duration(self.inputs.longer_than)
            return f"nothing to do: no session that may be touched is {self._kind.word} for longer than {least}"
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        words = "; ".join(session.words for session in found[:_SHOWN])
        beyond = f"; {left} more match, above the most at once" if left else ""
        return f"would {what} of {words}{more}{beyond}"

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.verb]

    def _ask(self, what: str, chosen: Sequence[Session]) -> list[tuple[Any, ...]]:
        return self.link.connection.execute(
            f"{what} {_CHOSEN.format(since=self._kind.since)}",
            (
                [session.pid for session in chosen],
                [session.born for session in chosen],
                [session.began for session in chosen],
                self._kind.states(self.inputs),
            ),
        ).fetchall()

    def _check_rights(self) -> None:
        # Without the first the states of others' sessions are hidden, and nothing would ever be found.
        rows = self.link.connection.execute(_RIGHTS, ("pg_signal_backend",)).fetchall()
        missing = [
            role for role, has in zip(("pg_read_all_stats", "pg_signal_backend"), rows[0], strict=True) if not has
        ]
        if missing:
            raise refused(f"{self.link.name}: the role lacks {' and '.join(missing)}; GRANT it")

    def _may(self, row: Sequence[Any]) -> bool:
        user, within = str(row[3]), str(row[4])
        allowed = self.allowed
        return any(fnmatchcase(user, glob) for glob in allowed.users) and any(
            fnmatchcase(within, glob) for glob in allowed.databases
        )

    def _session(self, row: Sequence[Any]) -> Session:
        pid, born, began, user, within, application, state, seconds = row
        what = state if self.verb == "terminate-idle" else "running"
        called = f" ({application})" if application else ""
        words = f"{user}@{within}{called}, pid {pid}, {what} for {format_duration(timedelta(seconds=int(seconds)))}"
        return Session(pid=pid, born=born, began=began, words=words)


def chosen_of(before: Mapping[str, Any]) -> list[Session] | None:
    """The sessions that a snapshot chose; None where there is no snapshot."""
    return [Session.model_validate(item) for item in before["sessions"]] if "sessions" in before else None
