"""One connection to a PostgreSQL for one use, that ends in time whatever the server and the network do."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.executors.sql_settings import Database
from service.ports import Effect, ExecutorError

if TYPE_CHECKING:
    from psycopg import Connection, Error

_LOOK_SECONDS = 0.2
"""Between two looks at the deadline and at whether a person cancelled."""
_CONNECT_SECONDS = 10.0
_GRACE = 1.0
"""Seconds that the server has to end a statement by its own timeout before the connection is cut."""
_TRANSIENT = ("40", "53", "55P03", "57P")
"""SQLSTATEs after which the same may work later: rolled back by a conflict, short of resources, a lock that was not to
be had, a server that went down. Not 57014: what took too long once takes so again. Source: PostgreSQL, appendix A."""


@dataclass
class Link:
    """A connection with its time limit. `autocommit`: each statement is a transaction of its own.

    `committing`: COMMIT was sent, or, with autocommit, something that acts: from then on a lost connection says nothing
    of the effect.
    """

    connection: Connection[tuple[Any, ...]]
    name: str
    deadline: float
    monotonic: Callable[[], float]
    confirm: Callable[[], None] = lambda: None
    committing: bool = False
    cut: bool = field(default=False, init=False)
    cancelled: bool = field(default=False, init=False)

    def left(self) -> float:
        """Seconds that are left. Raises ExecutorError where none is."""
        left = self.deadline - self.monotonic()
        if left <= 0:
            raise ExecutorError(f"no time left for {self.name}", effect=self.effect)
        return left

    def limit(self) -> None:
        """Let the server itself end what is done here in time, also when this process is gone by then."""
        left = math.ceil(self.left() * 1000)
        # For a lock half of it, so that there is time for the work; with autocommit for the session, else for the
        # transaction: a pooler in between hands the session on.
        local = not self.connection.autocommit
        self.connection.execute(
            "SELECT set_config('statement_timeout', %s, %s), set_config('lock_timeout', %s, %s),"
            " set_config('idle_in_transaction_session_timeout', %s, %s)",
            (f"{left}ms", local, f"{max(1, left // 2)}ms", local, f"{left}ms", local),
        )

    def commit(self) -> None:
        """Commit, unless the time is over or a person cancelled."""
        self.left()
        if self.cancelled:
            raise ExecutorError("cancelled by a person; rolled back", effect=Effect.ABSENT)
        self.confirm()
        self.committing = True
        self.connection.commit()

    @property
    def effect(self) -> Effect:
        """What is known of the effect when the connection is lost now."""
        return Effect.UNKNOWN if self.committing else Effect.ABSENT


@contextmanager
def link(
    database: Database,
    name: str,
    *,
    secret: Callable[[str], str],
    key: str,
    seconds: float,
    autocommit: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
    confirm: Callable[[], None] = lambda: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Link]:
    """A connection that is closed at the end; an open transaction is rolled back by that.

    It is cut when `seconds` are over, and what it does is cancelled in the server when `cancelled` says so.
    `confirm` is called right before a commit. Every error of the driver becomes an ExecutorError with an honest effect.
    """
    import psycopg

    deadline = monotonic() + seconds
    try:
        connection = _connect(database, secret, key, seconds, autocommit)
    except psycopg.Error as error:
        # libpq gives no code for why it could not connect: a server that starts looks like a wrong password.
        words = f"{name} cannot be reached: {_words(error)}"
        raise ExecutorError(words, retriable=True, effect=Effect.ABSENT) from error
    made = Link(connection, name, deadline, monotonic, confirm)
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(made, over, cancelled), daemon=True, name=f"sql {name}")
    watcher.start()
    try:
        yield made
    except psycopg.Error as error:
        raise _judged(error, made) from error
    finally:
        over.set()
        watcher.join()  # before the socket is closed: its number may be another's then
        connection.close()


def _connect(
    database: Database, secret: Callable[[str], str], key: str, seconds: float, autocommit: bool
) -> Connection[tuple[Any, ...]]:
    import psycopg

    tls: dict[str, Any] = {"sslmode": database.sslmode}
    if database.ca is not None:
        tls["sslrootcert"] = str(database.ca)
    elif database.sslmode == "verify-full":
        tls["sslrootcert"] = "system"
    return psycopg.connect(
        host=database.host,
        port=database.port,
        dbname=database.database,
        user=database.user,
        password=secret(database.password) if database.password else "",  # None: libpq would look at PGPASSWORD
        passfile=f"{os.devnull}/none",  # credentials come from the settings alone
        application_name=f"suture {key}"[:63],  # NAMEDATALEN - 1: who looks at the server sees which execution this is
        client_encoding="UTF8",
        connect_timeout=math.ceil(min(seconds, _CONNECT_SECONDS)),
        autocommit=autocommit,
        **tls,
    )


def _watch(made: Link, over: threading.Event, cancelled: Callable[[], bool]) -> None:
    import psycopg

    while not over.wait(_LOOK_SECONDS):
        if not made.cancelled and cancelled():
            made.cancelled = True
            with suppress(psycopg.Error):  # what cannot be cancelled goes on to the deadline
                made.connection.cancel_safe(timeout=2)
        if made.monotonic() > made.deadline + _GRACE:
            made.cut = True
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(made.connection.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
            return


def _judged(error: Error, made: Link) -> ExecutorError:
    state = error.sqlstate or ""
    # COMMIT was refused for what it would have done (a deferred constraint, a conflict): surely rolled back.
    refusal = state.startswith(("23", "40")) and state != "40003"
    effect = Effect.ABSENT if refusal else made.effect
    if made.cancelled:
        return ExecutorError("cancelled by a person", effect=effect)
    words = "no answer in time" if made.cut else _words(error)
    return ExecutorError(f"{made.name}: {words}", retriable=not state or state.startswith(_TRANSIENT), effect=effect)


def _words(error: Error) -> str:
    """The server's one sentence. Its DETAIL is left out: it quotes rows and values."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON: what JSON has no form for, and long texts, become short text."""
    return {name: value if _is_json(value) else str(value)[:1000] for name, value in row.items()}


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int) or (isinstance(value, str) and len(value) <= 1000)
