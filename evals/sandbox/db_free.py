"""The program `db-free-connections`: ends the idle sessions of everybody but one role, or says whether there is room.

`db-free-connections ROLE` ends every session of an ordinary role that is not ROLE and does nothing just now.
`db-free-connections --observe ROLE` says by its exit code whether at least half of the connections are free:
0 where they are, 1 where they are not.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psycopg

from evals.sandbox.postgres import ORDINARY_CONNECTIONS
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput

CONNECT_SECONDS = 5.0
"""The slots that are reserved for superusers are few, and each is taken for moments."""
_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN pg_roles ON usesysid = pg_roles.oid
WHERE backend_type = 'client backend' AND NOT rolsuper AND usename <> %s AND state = 'idle'
"""
_HELD = """
SELECT count(*) FROM pg_stat_activity JOIN pg_roles ON usesysid = pg_roles.oid
WHERE backend_type = 'client backend' AND NOT rolsuper
"""


def main(arguments: list[str]) -> int:
    """The exit code."""
    folder, *words = arguments
    observe = words[:1] == ["--observe"]
    if len(words) != 1 + observe:
        print("usage: db-free-connections [--observe] ROLE", file=sys.stderr)
        return 2
    try:
        with _connect(Sandbox.attach(Path(folder)).layout.dsn("postgres")) as superuser:
            if observe:
                held = (superuser.execute(_HELD).fetchone() or (0,))[0]
                return 0 if held <= ORDINARY_CONNECTIONS / 2 else 1
            ended = (superuser.execute(_END, (words[0],)).fetchone() or (0,))[0]
            print(f"{ended} sessions were ended")
            return 0
    except (BadInput, OSError, psycopg.Error) as error:
        print(error, file=sys.stderr)
        return 2


def _connect(dsn: str) -> psycopg.Connection[tuple[int, ...]]:
    """A superuser's connection. Raises psycopg.OperationalError where there is none within CONNECT_SECONDS."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return psycopg.connect(dsn, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
