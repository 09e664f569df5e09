"""Runs one playbook through ansible-runner, in a folder of its own that is gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.executors.ansible_events import Events, last_words, read_events
from service.executors.arguments import refused
from service.executors.bounded import Finished, NotStarted, run_bounded
from service.executors.hiding import hidden
from service.executors.outlived import KEY_VARIABLE, running
from service.executors.scratch import prefix_of, sweep
from service.ports import ExecutorError

_LOOK_SECONDS = 2.0
"""Between two looks at how much a run has written down."""
_IDENT = "run"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Request:
    """One run. `key` is how its processes are known; `secret_values` are kept out of all words."""

    playbook: Path
    project: Path
    inventory: Path
    hosts: Sequence[str]
    variables: Mapping[str, Any]
    secret_values: Mapping[str, str]
    environment: Mapping[str, str]
    key: str
    check: bool
    seconds: float
    artifact_limit: int
    cancelled: Callable[[], bool]
    confirm: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Ran:
    """How it ended. `words`: the end of what it printed. Neither these nor the events hold a secret of the request."""

    finished: Finished
    events: Events
    words: str


def run_playbook(request: Request) -> Ran:
    """Run it. Raises ExecutorError where it cannot be started, or writes down too much.

    ansible-runner works in a process of its own: it takes over the environment that it finds, forks, and wants signals,
    none of which may be had of a service with many threads. SIGTERM is its `cancel_callback`.
    """
    if not running(request.key):
        sweep(request.key)  # of an attempt that ended with the service: it holds secrets
    # The removal must not fail on what a process that is being killed still writes.
    with tempfile.TemporaryDirectory(prefix=prefix_of(request.key), ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            _prepare(folder, request)
        except OSError as error:
            raise refused(f"nothing can be written to {folder}: {error.strerror}") from error
        artifacts = folder / "artifacts" / _IDENT
        try:
            finished = run_bounded(
                _argv(folder, request),
                environment=_environment(folder, request),
                folder=request.project,
                timeout=request.seconds,
                output_limit=4096,
                cancelled=_Watch(request, folder),
                confirm=request.confirm,
            )
        except NotStarted as error:
            raise refused(f"ansible-runner cannot be started: {error.strerror}") from error
        except BaseException:
            _end_all(request.key)
            raise
        if finished.timed_out or finished.cancelled:
            _end_all(request.key)
        secrets = tuple(request.secret_values.values())
        complaint = hidden(finished.stderr.text, secrets, cut_at_start=finished.stderr.truncated).strip()
        words = last_words(artifacts, secrets) or complaint[-400:]
        return Ran(finished, read_events(artifacts, secrets), words)


def _argv(folder: Path, request: Request) -> list[str]:
    names = {"playbook": request.playbook, "inventory": request.inventory, "project-dir": request.project}
    options = [f"--{name}={value}" for name, value in names.items()]
    limit = f"--limit={','.join(request.hosts)}"
    program = [sys.executable, "-m", "ansible_runner", "run", "--quiet", "--omit-env-files", f"--ident={_IDENT}"]
    return [*program, *options, limit, str(folder)]


def _prepare(folder: Path, request: Request) -> None:
    settings = folder / "env"
    settings.mkdir(mode=0o700)
    (folder / "home").mkdir(mode=0o700)
    # `!unsafe`: a value is data, never a template (ansible-core, "Unsafe or raw strings"). JSON strings are YAML.
    values = {**request.variables, **request.secret_values}
    lines = [f"{name}: {_yaml(value)}\n" for name, value in values.items()]
    _write(settings / "extravars", "".join(lines) or "{}\n")
    _write(settings / "settings", json.dumps({"pexpect_timeout": 0.2, "suppress_ansible_output": True}))
    _write(settings / "cmdline", "--check --diff" if request.check else "--diff")


def _yaml(value: Any) -> str:
    return f"!unsafe {json.dumps(value, ensure_ascii=False)}" if isinstance(value, str) else json.dumps(value)


def _write(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)


def _environment(folder: Path, request: Request) -> dict[str, str]:
    own = {
        "PATH": f"{Path(sys.executable).parent}:{_PATH}",
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",  # without a UTF-8 locale ansible does not start
        "ANSIBLE_HOME": str(folder / "home" / ".ansible"),
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
    }
    return {**own, **request.environment, KEY_VARIABLE: request.key}


class _Watch:
    """Answers `run_bounded` whether to end the run, and ends it where it has written down too much."""

    def __init__(self, request: Request, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._next = time.monotonic() + _LOOK_SECONDS

    def __call__(self) -> bool:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOOK_SECONDS
            if sum(_sizes(self._folder)) > self._request.artifact_limit:
                raise ExecutorError(f"it wrote down more than {self._request.artifact_limit} bytes, and was ended")
        return self._request.cancelled()


def _sizes(folder: Path) -> Iterator[int]:
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed or renamed meanwhile
                yield Path(root, name).lstat().st_size


def _end_all(key: str) -> None:
    """Kill every process of the run: ansible's workers lead sessions of their own, which no group's end reaches."""
    wanted = f"{KEY_VARIABLE}={key}".encode()
    while left := [pid for pid in _processes() if wanted in _environ(pid)]:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if int(folder.name) != os.getpid()]


def _environ(pid: int) -> list[bytes]:
    # Gone, or of another user (`become`): that one cannot be ended from here.
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []
