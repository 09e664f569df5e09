"""The program `db-volume`: moves the database's log to another volume, or says whether it is there.

`db-volume NAME` returns when every commit waits for that volume and for no other. `db-volume --observe NAME` answers by
its exit code: 0 where it is so, 1 where it is not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from evals.sandbox import volumes
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput, Unavailable


def main(arguments: list[str]) -> int:
    """The exit code."""
    folder, *words = arguments
    sandbox = Sandbox.attach(Path(folder))
    try:
        if words[:1] == ["--observe"] and len(words) == 2:
            return 0 if volumes.in_use(sandbox) == words[1] else 1
        if len(words) == 1:
            volumes.use(sandbox, words[0])
            print(f"the database writes to {words[0]}")
            return 0
    except (BadInput, Unavailable, OSError, psycopg.Error) as error:
        print(error, file=sys.stderr)
        return 2
    print("usage: db-volume [--observe] NAME", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
