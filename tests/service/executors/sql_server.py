"""A database of the tests' own on a real PostgreSQL, and a relay in front of it that loses connections when told to."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from models.domain.base import utc_now
from service.executors.sql import SqlExecutor
from service.ports import Call, Context

TABLES = """
    CREATE TABLE jobs (id int PRIMARY KEY, queue text NOT NULL, state text NOT NULL, weight float8);
    INSERT INTO jobs SELECT n, 'q' || n % 2, 'stuck', n FROM generate_series(1, 10) AS n;
    CREATE TABLE history (id int, at timestamptz DEFAULT now());
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO history (id) VALUES (NEW.id); INSERT INTO history (id) VALUES (NEW.id); RETURN NEW; END';
    CREATE TRIGGER noted AFTER UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = 'noted') EXECUTE FUNCTION note();
    CREATE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'DELETE FROM jobs RETURNING id';
    CREATE TABLE parents (id int PRIMARY KEY);
    CREATE TABLE children (parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE suture_acts (key text PRIMARY KEY, at timestamptz NOT NULL, rows bigint NOT NULL);
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""

STATEMENTS: dict[str, dict[str, Any]] = {
    "retry-jobs": {
        "sql": "UPDATE jobs SET state = %(state)s WHERE queue = %(queue)s",
        "kind": "write",
        "max_rows_affected": 5,
        "parameters": {
            "queue": {"pattern": "q[0-9]|.*'.*"},
            "state": {"enum": ["ready", "noted", "stuck"], "default": "ready"},
        },
    },
    "count-one": {"sql": "INSERT INTO history (id) VALUES (1)", "kind": "write", "max_rows_affected": 1},
    "orphan": {"sql": "INSERT INTO children VALUES (1)", "kind": "write", "max_rows_affected": 1},
    "slow": {"sql": "INSERT INTO history SELECT 2 FROM pg_sleep(30)", "kind": "write", "max_rows_affected": 1},
    "same-again": {
        "sql": "UPDATE jobs SET state = 'ready' WHERE id = 1",
        "kind": "write",
        "max_rows_affected": 1,
        "idempotent": True,
    },
    "two-in-one": {
        "sql": "DELETE FROM jobs WHERE id = 1; DELETE FROM jobs",
        "kind": "write",
        "max_rows_affected": 1,
    },
    "stuck": {
        "sql": "SELECT queue, count(*) AS stuck FROM jobs WHERE state = 'stuck' AND state NOT LIKE '%%x'"
        " GROUP BY queue ORDER BY queue",
        "kind": "read",
    },
    "above": {
        "sql": "SELECT id, weight, now() AS at FROM jobs WHERE weight > %(least)s ORDER BY id;",
        "kind": "read",
        "parameters": {"least": {"type": "number", "minimum": 0, "maximum": 100}},
        "max_rows": 3,
    },
    "sneaky-read": {"sql": "SELECT sneak()", "kind": "read"},
    "many": {"sql": "SELECT id FROM jobs", "kind": "read", "max_rows": 3},
    "no-number": {"sql": "SELECT queue FROM jobs", "kind": "read"},
    "null": {"sql": "SELECT NULL::text AS queue, NULL::numeric AS stuck", "kind": "read"},
    "sleepy": {"sql": "SELECT 1 FROM pg_sleep(30)", "kind": "read"},
    "elsewhere": {"sql": "SELECT 1", "kind": "read", "databases": ["plain"]},
}


class Relay:
    """Passes bytes between loopback and the server's socket. `lose_at`: what happens at the client's next COMMIT."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lose_commit: str | None = None
        """`answer`: passed on, its answer lost. `request`: lost on the way. Then the connection is cut."""
        self.frozen = threading.Event()
        """Set: nothing passes any more, and nothing is closed."""
        self.freeze_after: bytes | None = None
        """Falls silent once the client sent these bytes."""
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._pass, args=(client,), daemon=True))
                self._threads[-1].start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
            server.connect(self._server)
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while not self._over.is_set():
                if self.frozen.is_set():
                    time.sleep(0.05)
                    continue
                for key, _ in selector.select(0.05):
                    if not self._one(key.fileobj, key.data, from_client=key.fileobj is client):
                        return

    def _one(self, source: Any, sink: socket.socket, *, from_client: bool) -> bool:
        try:
            data = source.recv(65_536)
            if from_client and b"COMMIT" in data and self.lose_commit:
                lost, self.lose_commit = self.lose_commit, None
                if lost == "answer":
                    sink.sendall(data)
                    source.shutdown(socket.SHUT_RDWR)
                    sink.recv(1)  # until the server has committed
                return False
            sink.sendall(data)
            if from_client and self.freeze_after and self.freeze_after in data:
                self.frozen.set()
        except OSError:
            return False
        return bool(data)


@dataclass
class Server:
    """One test's database, its roles, and sessions that are closed at the end."""

    url: str
    host: str
    name: str
    role: str
    port: int
    relay: Relay
    roles: list[str] = field(default_factory=list)
    open: list[psycopg.Connection[Any]] = field(default_factory=list)

    def execute(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def new_role(self, rights: str = "") -> str:
        role = f"{self.name}_r{len(self.roles)}"
        self.execute(f"CREATE ROLE {role} LOGIN {rights}")
        self.roles.append(role)
        return role

    def session(self, role: str, application: str = "shop", **more: Any) -> psycopg.Connection[Any]:
        """A session of an application, that did nothing yet."""
        made = psycopg.connect(self.url, user=role, application_name=application, **more)
        self.open.append(made)
        return made

    def config(self, **changes: Any) -> dict[str, Any]:
        plain = {"host": self.host, "database": self.name, "user": self.role, "sslmode": "disable"}
        databases = {
            "orders": plain | {"journal": "suture_acts"} | changes,
            "plain": plain,
            "relayed": plain | {"host": "127.0.0.1", "port": self.relay.port, "journal": "public.suture_acts"},
            "relayed-plain": plain | {"host": "127.0.0.1", "port": self.relay.port},
        }
        return {"databases": databases, "statements": STATEMENTS}

    def executor(self, **changes: Any) -> SqlExecutor:
        return SqlExecutor.build(self.config(**changes), Context(clock=utc_now, secret=lambda reference: reference))


def call(verb: str, *, key: str = "exec-1:act", timeout: float = 20, **arguments: Any) -> Call:
    arguments = {"database": "orders"} | {name: value for name, value in arguments.items() if name != "cancelled"}
    return Call(key, verb, arguments, timedelta(seconds=timeout))


def serve(url: str) -> Iterator[Server]:
    """The server of a fixture: `url` names an empty database; afterwards its roles and sessions are gone."""
    parts = urlsplit(url)
    host, name = parse_qs(parts.query)["host"][0], parts.path.strip("/")
    relay = Relay(f"{host}/.s.PGSQL.5432")
    server = Server(url, host, name, "", 5432, relay)
    server.role = server.new_role()
    server.execute(f"GRANT pg_signal_backend, pg_read_all_stats TO {server.role}")
    server.execute(TABLES)
    yield server
    relay.close()
    for connection in server.open:
        connection.close()
    for role in server.roles:
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def until(holds: Callable[[], Any], seconds: float = 10) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)
