"""Runs a program within limits of time, of output and of resources, and leaves none of it when the time is over."""

from __future__ import annotations

import logging
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from service.executors import limiter
from service.executors.kept_pipes import KeptPipes, kept_pipes

_log = logging.getLogger(__name__)

_CHUNK = 65_536
_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL: time to put down a lock file, not to finish the work."""
_LINGER = 0.2
"""Seconds to read on after the program ended: what it left running may hold its streams open for ever."""
_LOOK = 0.2
"""Seconds between two questions whether a person asked to stop: the answer may come from a database."""


class NotStarted(OSError):
    """A program that could not be started: nothing of it ran."""


@dataclass(frozen=True)
class Limits:
    """What each process of a program may use; None: what this process itself may. See setrlimit(2).

    `memory`: bytes of address space. `cpu`: whole seconds of processor time. `files`: file descriptors plus one.
    """

    memory: int | None = None
    cpu: int | None = None
    files: int | None = None

    def wrapped(self, argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """The argument list that runs `argv` within these limits: through `limiter`, which becomes the program."""
        # One more second of processor time before SIGKILL: SIGXCPU, which comes first, tells what happened.
        wanted = (
            (resource.RLIMIT_AS, self.memory, 0),
            (resource.RLIMIT_CPU, self.cpu, 1),
            (resource.RLIMIT_NOFILE, self.files, 0),
        )
        limits = ",".join(f"{kind}:{most}:{grace}" for kind, most, grace in wanted if most is not None)
        if not limits:
            return list(argv)
        return [sys.executable, "-I", "-S", limiter.__file__, limits, environment.get("LC_CTYPE", ""), *argv]


@dataclass
class Tail:
    """The last `limit` bytes of a stream, and whether there were more."""

    limit: int
    data: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def add(self, chunk: bytes) -> None:
        """Take in what was read; memory stays within `limit` and one chunk."""
        self.data += chunk
        if len(self.data) > self.limit:
            del self.data[: -self.limit]
            self.truncated = True

    @property
    def text(self) -> str:
        """As UTF-8; bytes that are not (or that the cut went through) are replaced."""
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True)
class Finished:
    """How a program ended. `exit_code` is negative where a signal ended it.

    `timed_out`, `cancelled`: `run_bounded` ended it, since its time was over, or since it was asked to. What had become
    another user's by then (sudo) cannot be ended from here: it goes on, is logged, and has the code of SIGKILL.
    """

    exit_code: int
    stdout: Tail
    stderr: Tail
    timed_out: bool
    cancelled: bool


class _End(Enum):
    """Why reading stopped."""

    ITSELF = "the program ended"
    TIME = "the deadline came first"
    CANCELLED = "it was asked to stop"


def run_bounded(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout: float,
    output_limit: int,
    cancelled: Callable[[], bool] = lambda: False,
    limits: Limits = Limits(),
    confirm: Callable[[], None] = lambda: None,
) -> Finished:
    """Run `argv` in a session of its own, without standard input.

    After `timeout` seconds, and soon after `cancelled` answers True, the whole process group gets SIGTERM, then
    SIGKILL. Each stream keeps its last `output_limit` bytes. Where this process is killed meanwhile the program goes
    on, and what it prints is lost. `confirm` is called right before the start. Raises OSError where the program cannot
    be started, what `confirm` raises, and what `cancelled` raises, having ended the group.
    """
    stdout, stderr = Tail(output_limit), Tail(output_limit)
    with ExitStack() as stack:
        try:
            pipes = stack.enter_context(kept_pipes())
            process = _started(limits.wrapped(argv, environment), environment, folder, pipes, confirm)
        except OSError as error:
            raise NotStarted(error.errno, error.strerror, error.filename) from error
        selector = stack.enter_context(selectors.DefaultSelector())
        for stream, tail in zip(pipes.reading, (stdout, stderr), strict=True):
            selector.register(stream, selectors.EVENT_READ, tail)
        try:
            end = _drain(process, selector, time.monotonic() + timeout, cancelled)
        except BaseException:
            _end_group(process, selector)
            raise
        exit_code = process.wait() if end is _End.ITSELF else _end_group(process, selector)
    return Finished(exit_code, stdout, stderr, end is _End.TIME, end is _End.CANCELLED)


def _started(
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    pipes: KeptPipes,
    confirm: Callable[[], None],
) -> subprocess.Popen[bytes]:
    try:
        confirm()
        return subprocess.Popen(  # the caller checked argv[0]; no shell reads the rest
            argv,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=pipes.writing[0],
            stderr=pipes.writing[1],
            start_new_session=True,
        )
    finally:
        pipes.close_writing()


def _drain(
    process: subprocess.Popen[bytes],
    selector: selectors.BaseSelector,
    deadline: float,
    cancelled: Callable[[], bool] = lambda: False,
) -> _End:
    """Read until the program has ended, the deadline has come, or `cancelled` answers True."""
    ended: float | None = None
    looked = time.monotonic()
    while True:
        now = time.monotonic()
        if ended is None and _has_ended(process):
            ended = now
        if ended is not None and (not selector.get_map() or now > ended + _LINGER):
            return _End.ITSELF
        if ended is None and now >= deadline:
            return _End.TIME
        if ended is None and now > looked + _LOOK:
            looked = now
            if cancelled():
                return _End.CANCELLED
        _read_some(selector, min(0.05, max(0.0, deadline - now)) if ended is None else 0.02)


def _read_some(selector: selectors.BaseSelector, wait: float) -> None:
    if not selector.get_map():
        time.sleep(wait)  # both streams are closed, and the program still runs
        return
    for key, _ in selector.select(wait):
        chunk = os.read(key.fd, _CHUNK)
        if chunk:
            key.data.add(chunk)
        else:
            selector.unregister(key.fd)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Looked at without reaping: while it is a zombie its id, which is its group's id, is not given to another.
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> int:
    """End it within a few seconds; its exit code."""
    with suppress(PermissionError):  # all of it is another user's by now
        os.killpg(process.pid, signal.SIGTERM)
    _drain(process, selector, time.monotonic() + _GRACE)
    with suppress(PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # what is left of the group; the zombie itself keeps the id valid
    try:
        return process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        _log.warning("process %s cannot be ended, and goes on; is it another user's?", process.pid)
        return -signal.SIGKILL
