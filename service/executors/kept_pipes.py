"""Two pipes for what a program prints, whose reading ends outlive this process.

A pipe that nobody reads ends who writes to it, by SIGPIPE: a program that prints would not survive the service that
started it. So a second process, `draining`, holds the reading ends too, and reads once this one does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from service.executors import draining

_END = 1.0
"""Seconds for `draining` to end; it takes longer only where the program left something running that may still print."""

_still_reading: list[subprocess.Popen[bytes]] = []
"""What is not reaped yet. It is once it has ended, at the next use."""


@dataclass(frozen=True)
class KeptPipes:
    """The ends to read from, and those for the program's standard output and standard error."""

    reading: tuple[int, int]
    writing: tuple[int, int]

    def close_writing(self) -> None:
        """Once the program has its own: then the end of the streams is seen here."""
        for descriptor in self.writing:
            os.close(descriptor)


@contextmanager
def kept_pipes() -> Iterator[KeptPipes]:
    """The pipes, closed at the end. Call `close_writing` once. Raises OSError where they cannot be made."""
    _reap()
    open_ends: list[int] = []
    try:
        for _ in range(3):
            open_ends += os.pipe()
        life, service, *streams = open_ends
        pipes = KeptPipes((streams[0], streams[2]), (streams[1], streams[3]))
        drain = _start(life, *pipes.reading)
    except BaseException:
        for descriptor in open_ends:
            os.close(descriptor)
        raise
    os.close(life)
    try:
        yield pipes
    finally:
        for descriptor in (*pipes.reading, service):
            os.close(descriptor)
        with suppress(subprocess.TimeoutExpired):
            drain.wait(_END)
        _reap()


def _start(*kept: int) -> subprocess.Popen[bytes]:
    drain = subprocess.Popen(
        [sys.executable, "-I", "-S", draining.__file__, *map(str, kept)],
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=kept,
        start_new_session=True,  # what ends the service's group, or the program's, does not end it
    )
    _still_reading.append(drain)
    return drain


def _reap() -> None:
    for drain in tuple(_still_reading):
        if drain.poll() is not None:
            with suppress(ValueError):  # another thread was quicker
                _still_reading.remove(drain)
