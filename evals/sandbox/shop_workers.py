"""The program `shop-workers`: sets how many workers the shop has, or says whether it has that many.

`shop-workers N` returns when the shop has N workers, now and after its next start. `shop-workers --observe N` answers
by its exit code: 0 where it has N, 1 where it has another number.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from evals.sandbox.layout import replace_text
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput, Unavailable

MOST = 4
"""More would take all of the database's connections."""
CHANGE_SECONDS = 15.0
"""For one worker to start or to end, which takes a second or two."""


def set_workers(sandbox: Sandbox, wanted: int) -> None:
    """Add or take away workers, one after the other. The same number again changes nothing.

    Raises Unavailable where the shop does not run, or does not get there in time.
    """
    replace_text(sandbox.layout.workers_file, str(wanted))
    while (now := workers(sandbox)) != wanted:
        master = sandbox.supervisor.process("shop").pid
        if master == 0:
            raise Unavailable("the shop does not run")
        # One at a time: of two signals of a kind that wait to be handled, the kernel delivers one (signal(7)).
        os.kill(master, signal.SIGTTIN if now < wanted else signal.SIGTTOU)
        _await_change(sandbox, now)


def _await_change(sandbox: Sandbox, before: int) -> None:
    deadline = time.monotonic() + CHANGE_SECONDS
    while workers(sandbox) == before:
        if time.monotonic() > deadline:
            raise Unavailable(f"the shop still has {before} workers after {CHANGE_SECONDS:.0f} s")
        time.sleep(0.1)


def workers(sandbox: Sandbox) -> int:
    """How many serve. Raises Unavailable where the shop does not answer."""
    return int(sandbox.metrics("shop")["shop_workers"])


def main(arguments: list[str]) -> int:
    """The exit code."""
    folder, *words = arguments
    sandbox = Sandbox.attach(Path(folder))
    try:
        if words[:1] == ["--observe"] and len(words) == 2:
            return 0 if workers(sandbox) == _number(words[1]) else 1
        if len(words) == 1:
            set_workers(sandbox, _number(words[0]))
            print(f"the shop has {words[0]} workers")
            return 0
    except (BadInput, Unavailable, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print("usage: shop-workers [--observe] N", file=sys.stderr)
    return 2


def _number(word: str) -> int:
    if word not in {str(number) for number in range(1, MOST + 1)}:
        raise BadInput(f"{word!r} is not a number of workers from 1 to {MOST}")
    return int(word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
