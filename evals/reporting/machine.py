"""On what, with what and when figures were made: they mean little without."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def surroundings() -> dict[str, str]:
    """Machine, commit, versions and time, in words."""
    one, _, _ = os.getloadavg()
    return {
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "version": f"{_version()}, {_commit()}",
        "machine": f"{os.cpu_count()} cores, {_memory()}, {platform.machine()}, {platform.system()}",
        "busy": f"load {one:.1f} at the end: figures of time are those of a {'busy' if one > 1.5 else 'quiet'} machine",
        "python": platform.python_version(),
    }


def _version() -> str:
    try:
        return f"suture {version('suture')}"
    except PackageNotFoundError:
        return "suture"


def _commit() -> str:
    """The commit of the checkout, and whether files differ from it."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "not run from a checkout"
    return f"commit {commit}{', with changes that are not committed' if changed else ''}"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def _memory() -> str:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return "memory unknown"
    return f"{pages * size / 2**30:.0f} GiB"
