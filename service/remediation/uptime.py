"""Time that nobody can set: how long ago something was recorded, over a restart of the process."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def uptime() -> str:
    """Now, as `<boot>:<seconds since it>`. Where the system does not name its boots, each process is one."""
    return f"{_boot()}:{seconds_up():.3f}"


def elapsed_since(mark: str) -> float | None:
    """Seconds since `uptime` gave `mark`; None where another boot or another machine gave it, so nobody can tell."""
    boot, _, seconds = mark.rpartition(":")
    if not boot or boot != _boot():
        return None
    with suppress(ValueError):
        elapsed = seconds_up() - float(seconds)
        return elapsed if elapsed >= 0 else None
    return None


@cache
def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return uuid.uuid4().hex


def seconds_up() -> float:
    """Of this machine, by a clock that nobody sets."""
    # Counts while the machine is suspended, too. https://man7.org/linux/man-pages/man2/clock_gettime.2.html
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
