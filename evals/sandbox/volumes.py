"""The database's volumes from outside: which one it writes to, and how slow one is. See `volume` for what they are."""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from evals.sandbox.layout import VOLUMES, replace_text
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput, Unavailable

ATTACH_SECONDS = 15.0
"""For a volume to be reached by the server: at once, or after the receiver's next attempt, which it makes every 5 s."""
_ATTACHED = "SELECT count(*) FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'"


def watch(sandbox: Sandbox) -> None:
    """Let the exporter measure what a durable write takes (`pg_wal_write_seconds`), as where disks are watched."""
    if not sandbox.layout.volume_in_use.exists():
        replace_text(sandbox.layout.volume_in_use, "")


def attach(sandbox: Sandbox) -> None:
    """Start both volumes. No commit waits for either until `use`."""
    for name in VOLUMES:
        if sandbox.supervisor.process(name).pid == 0:
            sandbox.supervisor.restart(name)


def use(sandbox: Sandbox, name: str) -> None:
    """Let every commit wait until the log is on that volume. Raises BadInput or Unavailable where it cannot be."""
    if name not in VOLUMES:
        raise BadInput(f"there is no volume {name!r}: choose one of {', '.join(VOLUMES)}")
    _await_attached(sandbox, name)
    _configure(sandbox, synchronous_commit="on", synchronous_standby_names=f'"{name}"')
    replace_text(sandbox.layout.volume_in_use, name)


def in_use(sandbox: Sandbox) -> str:
    """The volume that commits wait for, empty where there is none."""
    file = sandbox.layout.volume_in_use
    return file.read_text() if file.exists() else ""


def slow(sandbox: Sandbox, name: str, seconds: float) -> None:
    """Let a volume keep writes waiting up to so long, half of it on average; 0 makes it quick again."""
    replace_text(sandbox.layout.volume_delay(name), str(seconds))


def detach(sandbox: Sandbox) -> None:
    """Let no commit wait for a volume any more, and stop both. Harmless where they do not run."""
    if in_use(sandbox):
        _configure(sandbox, synchronous_commit="off", synchronous_standby_names="")
    sandbox.layout.volume_in_use.unlink(missing_ok=True)
    for name in VOLUMES:
        sandbox.layout.volume_delay(name).unlink(missing_ok=True)
        sandbox.supervisor.stop(name)


def _await_attached(sandbox: Sandbox, name: str) -> None:
    deadline = time.monotonic() + ATTACH_SECONDS
    with psycopg.connect(sandbox.layout.dsn("postgres"), autocommit=True) as superuser:
        while (superuser.execute(_ATTACHED, (name,)).fetchone() or (0,))[0] == 0:
            if time.monotonic() > deadline:
                raise Unavailable(f"the volume {name} was not reached by the database within {ATTACH_SECONDS:.0f} s")
            time.sleep(0.1)


def _configure(sandbox: Sandbox, **settings: str) -> None:
    """Change settings of the running server, which outlast its restart."""
    with psycopg.connect(sandbox.layout.dsn("postgres"), autocommit=True) as superuser:
        for name, value in settings.items():
            statement = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            superuser.execute(statement)
        superuser.execute("SELECT pg_reload_conf()")
