"""A faulty batch job: opens database connections until the server refuses, and holds them.

`python -m evals.sandbox.outsider`, with OUTSIDER_DSN in the environment. It takes every slot that becomes free, or as
many as OUTSIDER_MOST says. It ends when one of its connections is cut, as a restart of the server does, or after
MAX_SECONDS.
"""

from __future__ import annotations

import os
import time

import psycopg

RETRY, SLOWEST_RETRY = 0.005, 0.1
"""Seconds between attempts: at once where slots become free, doubling while none does to spare the server."""
MAX_SECONDS = 900.0


def main() -> None:
    """Take and hold. Nothing is raised: the end of the connections is the end of the job."""
    dsn = os.environ["OUTSIDER_DSN"]
    most = float(os.environ.get("OUTSIDER_MOST", "inf"))
    held: list[psycopg.Connection[tuple[object, ...]]] = []
    pause = RETRY
    end = time.monotonic() + MAX_SECONDS
    while time.monotonic() < end:
        try:
            for connection in held[:1]:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return
        if len(held) >= most:
            time.sleep(SLOWEST_RETRY)
            continue
        try:
            held.append(psycopg.connect(dsn, autocommit=True))
            pause = RETRY
        except psycopg.OperationalError:
            time.sleep(pause)
            pause = min(2 * pause, SLOWEST_RETRY)


if __name__ == "__main__":
    main()
