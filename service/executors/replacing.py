"""Replaces a file as a whole: whoever reads it sees the old one or the new one, after a power cut too."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SUFFIX = ".candidate"
"""How the name of a candidate ends. It begins with a dot and the name of the file that it may replace."""
_STALE = 3600.0
"""Seconds after which a candidate is of an attempt that was killed: no act takes that long."""


def write_beside(path: Path, data: bytes, *, mode: int) -> Path:
    """A candidate for `path`, in the same folder, on disk when this returns. The caller puts it in place or removes it.

    It has the owner, the group and the mode of the file that it may replace, so that the file's readers can read it;
    `mode` where there is none yet. Raises OSError, with no candidate left.
    """
    remove_stale(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=SUFFIX, dir=path.parent)
    candidate = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            _like(path, file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        candidate.unlink()
        raise
    return candidate


def put_in_place(candidate: Path, path: Path) -> None:
    """Replace `path` by the candidate. Raises OSError."""
    candidate.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove `path`, if it is there, for good. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let what was renamed or removed in the folder survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _like(path: Path, descriptor: int, mode: int) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def remove_stale(path: Path) -> None:
    """Remove the candidates for `path` of attempts that were killed. Raises OSError."""
    for old in path.parent.glob(f".{path.name}.*{SUFFIX}"):
        with suppress(FileNotFoundError):  # another process was quicker
            if time.time() - old.stat().st_mtime > _STALE:
                old.unlink()
