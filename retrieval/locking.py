"""Several processes on one index folder: one writes at a time, the others notice."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def folder_lock(folder: Path | None, *, exclusive: bool) -> Iterator[None]:
    """Hold the folder's lock file, alone or together with other readers; waits for it. No folder: no lock.

    The kernel gives it back when a process ends, however it ends.
    """
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield


class Generation:
    """A mark in the folder that changes with every change of the index: reading it costs microseconds."""

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / "generation" if folder else None

    def read(self) -> str:
        """The mark now; empty before the first change, and always where there is no folder."""
        try:
            return self._file.read_text() if self._file else ""
        except FileNotFoundError:
            return ""

    def advance(self) -> str:
        """Write a new mark, whole or not at all, and return it."""
        if self._file is None:
            return ""
        mark = uuid4().hex
        fresh = self._file.with_suffix(".new")
        fresh.write_text(mark)
        fresh.replace(self._file)
        return mark
