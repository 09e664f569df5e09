"""Calls of the process executor on the programs of the tests' supervisord."""

import time
from datetime import timedelta
from pathlib import Path

from service.executors.process import ProcessExecutor
from service.ports import Call

build = ProcessExecutor.build


def call(verb: str, name: str, *, server: str = "default", timeout: float = 20, before: dict | None = None) -> Call:
    arguments = {"name": name, "server": server}
    return Call("k1", verb, arguments, timedelta(seconds=timeout), before or {})


def ensure_up(executor: ProcessExecutor, name: str) -> int:
    """The id of the process, which runs then."""
    return executor.act(call("start", name))["pid"]


def wait_for(path: Path, text: str) -> None:
    """Until that is all that the file holds."""
    deadline = time.monotonic() + 10
    while not path.exists() or path.read_text() != text:
        assert time.monotonic() < deadline, path.read_text() if path.exists() else "nothing was written"
        time.sleep(0.02)
