"""Programs for the script executor, written by the tests that run them."""

import sys
import time
from datetime import timedelta
from pathlib import Path

from models.domain.base import utc_now
from service.executors.script import ScriptExecutor
from service.ports import Call, Context
from service.security.secrets import resolve_secret

build = ScriptExecutor.build


SECRETS = {"TOKEN": "8c1f-secret"}


CONTEXT = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, SECRETS))


def program(folder: Path, name: str, text: str) -> dict:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport os, signal, subprocess, sys, time\n{text}\n")
    path.chmod(0o755)
    return {"path": str(path)}


def make(**programs: dict) -> ScriptExecutor:
    return build({"programs": programs, "output_limit": 4096}, CONTEXT)


def call(name: str, *args: str, timeout: float = 20) -> Call:
    return Call("exec-1:act", "run", {"program": name, "args": list(args)}, timedelta(seconds=timeout))


def ended(pid: int) -> bool:
    """Whether it is gone, or a zombie that init has yet to reap."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False
