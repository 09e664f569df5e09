"""Time that nobody can set."""

from __future__ import annotations

import time


def seconds_up() -> float:
    """Of this machine, by a clock that nobody sets."""
    # Counts while the machine is suspended, too. https://man7.org/linux/man-pages/man2/clock_gettime.2.html
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
