"""A folder of its own for one run of a program, empty at the start and gone at the end."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from models.domain.base import sha256_hex
from service.executors.arguments import refused

_log = logging.getLogger(__name__)


class Scratch:
    """`work`, `home` and `tmp` below one folder that only this user may enter."""

    def __init__(self, folder: Path) -> None:
        """Makes the three in `folder`."""
        self.folder = folder
        self.work, self.home, self.tmp = (folder / name for name in ("work", "home", "tmp"))
        for each in (self.work, self.home, self.tmp):
            each.mkdir(mode=0o700)

    @property
    def environment(self) -> dict[str, str]:
        """`HOME` and `TMPDIR`, for programs that leave things there."""
        return {"HOME": str(self.home), "TMPDIR": str(self.tmp)}


@contextmanager
def scratch(key: str) -> Iterator[Scratch]:
    """Folders for a run of the attempt `key`. What cannot be removed afterwards is logged.

    Raises ExecutorError where they cannot be made.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix=prefix_of(key))
        folders = Scratch(Path(made.name))
    except OSError as error:
        raise refused(f"no folder can be made for the run: {error.strerror}") from error
    try:
        yield folders
    finally:
        try:
            made.cleanup()
        except OSError as error:  # for example a program that was left running, and writes there
            _log.warning("%s, the folder of a run, cannot be removed: %s", made.name, error.strerror)


def sweep(key: str) -> None:
    """Remove the folders of a run of `key` that ended with the service that started it. Call it when none goes on."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix_of(key)}*"):
        try:
            if folder.lstat().st_uid == os.geteuid():  # everybody may make a folder of this name in /tmp
                rmtree(folder)
        except OSError as error:
            _log.warning("%s, the folder of an earlier run, cannot be removed: %s", folder, error.strerror)


def prefix_of(key: str) -> str:
    """How the name of such a folder begins: by it `sweep` finds what is left of a run."""
    return f"suture-run-{sha256_hex(key)[:16]}-"
