"""Runs one command and leaves nothing behind: `python -m evals.sandbox.keeper COMMAND…`.

It ends the command, and every process that descends from it, when its standard input closes. The starter holds the
other end of that pipe, so this happens whenever the starter ends, by SIGKILL too. On Linux the keeper is the subreaper
(prctl(2), PR_SET_CHILD_SUBREAPER) of all descendants, so that one which detached itself is still found; elsewhere only
those still below the command are.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""From linux/prctl.h."""
GRACE = 15.0
"""Seconds that the command has to end by itself after SIGTERM."""
_POLL = 0.2


def launch(command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
    """Start a command under a keeper, in a session of its own; `options` go to subprocess.Popen.

    End it with `release`. It also ends when this process does.
    """
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "evals.sandbox.keeper", *command],
        stdin=subprocess.PIPE,
        start_new_session=True,
        **options,
    )


def release(keeper: subprocess.Popen[bytes]) -> None:
    """End what `launch` started, and wait until all of it is gone."""
    if keeper.stdin is not None:
        keeper.stdin.close()
    try:
        keeper.wait(GRACE + 10)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def main(command: Sequence[str]) -> int:
    """Run the command until it ends or standard input closes. Returns its exit code, 128 + n after signal n."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    # preexec_fn is safe here: this process has one thread.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent).pid  # noqa: PLW1509
    try:
        code = _wait(child, deadline=None)
        if code is None:
            os.kill(child, signal.SIGTERM)
            code = _wait(child, deadline=time.monotonic() + GRACE)
    finally:
        _kill_descendants()
    return 1 if code is None else code if code >= 0 else 128 - code


def _wait(child: int, deadline: float | None) -> int | None:
    """The child's exit code, or None when standard input closed (without a deadline) or the deadline passed."""
    while True:
        code = _reap(child)
        if code is not None:
            return code
        if deadline is None:
            readable, _, _ = select.select([sys.stdin], [], [], _POLL)
            if readable and not os.read(sys.stdin.fileno(), 4096):
                return None
        elif time.monotonic() > deadline:
            return None
        else:
            time.sleep(_POLL / 4)


def _reap(child: int) -> int | None:
    """Collect every process that ended below us; the exit code of `child` where it is among them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None


def _kill_descendants() -> None:
    """Kill until none is left: one that forks meanwhile is found in the next round."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=1)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    """The last line of defence: where the keeper itself is killed, the command is told to end."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
