"""Finds the program of an attempt that outlived the service which started it.

A program runs in a session of its own, so a service that is killed does not take it along. Linux tells of it: its
environment holds the attempt's key (proc(5), `/proc/pid/environ`), and it still leads that session. On other systems,
and for programs that changed to another user, it cannot be found.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path

KEY_VARIABLE = "SUTURE_IDEMPOTENCY_KEY"
"""The environment variable by which a program knows, and is known by, the attempt that it is."""
_POLL = 0.2

_log = logging.getLogger(__name__)


def running(key: str) -> tuple[int, ...]:
    """The ids of processes that still run for the key."""
    wanted = f"{KEY_VARIABLE}={key}".encode()
    return tuple(int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _runs_for(folder, wanted))


def wait_until_ended(key: str, seconds: float) -> bool:
    """Wait until nothing runs for the key any more; False where something still does after `seconds`."""
    deadline = time.monotonic() + seconds
    while left := running(key):
        if time.monotonic() > deadline:
            _log.warning("a program of %s still runs, as process %s", key, ", ".join(map(str, left)))
            return False
        time.sleep(_POLL)
    return True


def _runs_for(folder: Path, wanted: bytes) -> bool:
    # It ended meanwhile, or belongs to another user.
    with suppress(OSError):
        if wanted in (folder / "environ").read_bytes().split(b"\0"):
            return os.getsid(int(folder.name)) == int(folder.name)
    return False
