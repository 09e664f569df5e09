"""Lets a server read its configuration anew: by a program, or by a signal to the process of a pid file."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from models.domain.base import Frozen
from service.executors.arguments import refused
from service.executors.bounded import Finished, run_bounded
from service.executors.outlived import KEY_VARIABLE
from service.ports import ExecutorError

_SETTLE = 0.5
"""Seconds for which the process must live on after a reload: one that does not bear it ends within this."""
_REWRITTEN = 2.0
"""Seconds for which a pid file may be empty or missing: HAProxy empties its own and writes it anew at each reload."""
_POLL = 0.05
_OUTPUT = 16_384
"""Bytes of a program's words that are kept."""
_LAST_WORDS = 1000
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a program finds its helpers by; nothing else of the service's environment reaches it."""


def absolute(path: Path) -> Path:
    """`path`, for a field validator. Raises ValueError where it depends on the working folder."""
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("must be an absolute path without ..")
    return path


def _absolute_program(argv: tuple[str, ...]) -> tuple[str, ...]:
    absolute(Path(argv[0]))
    return argv


AbsolutePath = Annotated[Path, AfterValidator(absolute)]
Argv = Annotated[
    tuple[Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]+$")], ...],
    Field(min_length=1, max_length=64),
    AfterValidator(_absolute_program),
]
"""A program by its absolute path, and its arguments."""


class Reload(Frozen):
    """How a server is told: `argv`, which must end with 0, or `signal` to the process whose id `pid_file` holds.

    With `argv` a `pid_file` may be named too: the process must live afterwards.
    """

    argv: Argv | None = None
    signal: Literal["HUP", "USR1", "USR2"] | None = None
    pid_file: AbsolutePath | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.argv is None) == (self.signal is None):
            raise ValueError("needs argv or signal, one of them")
        if self.signal is not None and self.pid_file is None:
            raise ValueError("signal needs pid_file")
        return self


def require_running(reload: Reload | None) -> None:
    """Raises ExecutorError (nothing was changed) where there is no process that could be told."""
    if reload is not None and reload.pid_file is not None:
        try:
            os.kill(_pid(reload.pid_file), 0)
        except OSError as error:
            raise refused(f"the process of {reload.pid_file} cannot be told: {error.strerror}") from error


def perform(reload: Reload | None, *, key: str, seconds: float) -> None:
    """Tell the server, and see that its process lives on. Raises ExecutorError, effect unknown.

    `key` is the call's, in the program's environment; `seconds` the longest that the program may take.
    """
    if reload is None:
        return
    try:
        if reload.argv is not None:
            run_program(reload.argv, key=key, seconds=seconds)
        elif reload.pid_file is not None:
            os.kill(_pid(reload.pid_file), getattr(signal, f"SIG{reload.signal}"))
    except OSError as error:
        raise ExecutorError(f"the reload could not be started: {error.strerror}") from error
    if reload.pid_file is not None:
        _stays(reload.pid_file)


def run_program(argv: Sequence[str], *, key: str, seconds: float) -> Finished:
    """Run it. Raises ExecutorError, with its last words, where it does not end with 0 in time; OSError: no start."""
    finished = run_bounded(
        argv,
        environment={"PATH": _PATH, KEY_VARIABLE: key},
        folder=Path("/"),
        timeout=max(0.0, seconds),
        output_limit=_OUTPUT,
    )
    if finished.timed_out:
        raise ExecutorError(f"{argv[0]} was ended after {seconds:.1f} s{_words(finished)}")
    if finished.exit_code != 0:
        raise ExecutorError(f"{argv[0]} ended with {finished.exit_code}{_words(finished)}")
    return finished


def _stays(pid_file: Path) -> None:
    until = time.monotonic() + _SETTLE
    while True:
        if not _lives(_pid(pid_file)):
            raise ExecutorError(f"the process of {pid_file} is gone after the reload")
        if time.monotonic() > until:
            return
        time.sleep(_POLL)


def _pid(pid_file: Path) -> int:
    until = time.monotonic() + _REWRITTEN
    while not (text := _read(pid_file)) and time.monotonic() < until:
        time.sleep(_POLL)
    # 0 and below mean whole groups to kill(2), 1 is init: never what a server's pid file says.
    if not text.isdecimal() or int(text) < 2:
        raise refused(f"{pid_file} holds no process id")
    return int(text)


def _read(pid_file: Path) -> str:
    try:
        return pid_file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise refused(f"{pid_file} cannot be read: {getattr(error, 'strerror', error)}") from error


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):  # no Linux, or it ended just now
        # Field 3 of proc(5) stat, after the name in parentheses. A zombie still takes signals.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return True


def _words(finished: Finished) -> str:
    text = (finished.stderr.text.strip() or finished.stdout.text.strip())[-_LAST_WORDS:]
    return f": {text}" if text else ""
