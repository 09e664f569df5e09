"""`python -m tests.crash`: kills workers some hundreds of times and counts what became of it. Exit 1 on any fault."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.crash.lives import Workers
from tests.crash.mutations import MUTATIONS
from tests.crash.suite import Plan, Suite, table
from tests.postgresql import new_database, temporary_server

_FAULTS_SHOWN = 20


def main() -> int:
    """Run the suite; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=640)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--break", dest="mutations", action="append", default=[], choices=sorted(MUTATIONS))
    given = parser.parse_args()
    # A termination ends it as Ctrl-C does: the servers are stopped, and the table is of what was done.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"seed {given.seed}; {_machine()}", flush=True)
    began, workers = time.monotonic(), Workers()
    try:
        with temporary_server() as server:
            databases = {"SQLite": lambda: None, "PostgreSQL": lambda: new_database(server.get_uri())}
            suite = Suite(workers, databases, given.seed, given.mutations, say=lambda words: print(words, flush=True))
            with suppress(KeyboardInterrupt):
                suite.run(Plan.of(given.kills), suite.rehearse())
    finally:
        workers.close()
    for words in suite.verdict.faults[:_FAULTS_SHOWN]:
        print(f"FAULT {words}")
    print(f"\n{table(suite)}\n")
    faults, minutes = len(suite.verdict.faults), (time.monotonic() - began) / 60
    print(f"{len(suite.missed)} boundaries did not come again; they were killed at another instant")
    print(f"{suite.total.kills} kills in {minutes:.1f} min, {faults} faults; seed {given.seed}; {_machine()}")
    # Fewer kills: it was interrupted.
    return 1 if faults or suite.total.kills < Plan.of(given.kills).total else 0


def _machine() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    memory = f"{pages * size / 2**30:.0f} GiB"
    return f"{os.cpu_count()} cores, {memory}, load {load}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
