"""The faulty batch job (`outsider`) as somebody starts and ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psycopg

from evals.sandbox.postgres import ORDINARY_CONNECTIONS
from evals.sandbox.sandbox import Sandbox

CLIENTS = """
SELECT count(*) FILTER (WHERE usename = 'batch'), count(*) FILTER (WHERE usename = 'shop') FROM pg_stat_activity
"""
"""How many connections the job has, and how many the shop."""


class BatchJob:
    """The faulty batch job (`outsider`), as a process of this one."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, most: int = ORDINARY_CONNECTIONS) -> None:
        """Let it take connections, `most` at most."""
        environment: dict[str, Any] = {
            **os.environ, "OUTSIDER_DSN": self._sandbox.layout.dsn("batch"), "OUTSIDER_MOST": str(most),
        }  # fmt: skip
        with self._sandbox.layout.log("outsider").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "evals.sandbox.outsider"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def holds(self) -> int:
        """How many connections it has."""
        with psycopg.connect(self._sandbox.layout.dsn("postgres"), autocommit=True) as superuser:
            return int((superuser.execute(CLIENTS).fetchone() or (0,))[0])

    def end(self) -> None:
        """End it, with its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
