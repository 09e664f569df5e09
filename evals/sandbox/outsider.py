"""A faulty batch job: opens database connections until the server refuses, and holds them.

`python -m evals.sandbox.outsider`, with OUTSIDER_DSN in the environment. It takes every slot that becomes free. It ends
when one of its connections is cut, as a restart of the server does, or after MAX_SECONDS.
"""

from __future__ import annotations

import os
import time

import psycopg

RETRY = 0.1
"""Seconds between attempts: quicker than the exporter's probes, so that no freed slot is left for those."""
MAX_SECONDS = 900.0


def main() -> None:
    """Take and hold. Nothing is raised: the end of the connections is the end of the job."""
    dsn = os.environ["OUTSIDER_DSN"]
    held: list[psycopg.Connection[tuple[object, ...]]] = []
    end = time.monotonic() + MAX_SECONDS
    while time.monotonic() < end:
        try:
            for connection in held[:1]:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return
        try:
            held.append(psycopg.connect(dsn, autocommit=True))
        except psycopg.OperationalError:
            time.sleep(RETRY)


if __name__ == "__main__":
    main()
