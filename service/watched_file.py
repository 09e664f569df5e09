"""A file of settings that is read again when it changed; where the new one cannot be used, the last good one serves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from models.domain.errors import BadInput

_log = logging.getLogger(__name__)

Content = TypeVar("Content")


class WatchedFile(Generic[Content]):
    """`read` makes the content of the file and raises BadInput where it cannot be used: at the start that is an error,
    later it is logged, once for each change.
    """

    def __init__(self, path: Path | None, read: Callable[[Path], Content], nothing: Content) -> None:
        """`nothing` is the content where there is no file."""
        self._path = path
        self._read = read
        self._seen = self._stamp()
        self._content = read(path) if path is not None else nothing
        self.problem: str | None = None
        """What is wrong with the file as it is now; the content is then that of before."""

    def content(self) -> Content:
        """What holds now."""
        stamp = self._stamp()
        if self._path is not None and stamp != self._seen:
            self._seen = stamp
            try:
                self._content = self._read(self._path)
                self.problem = None
                _log.info("%s was read again", self._path)
            except BadInput as error:
                self.problem = str(error)
                _log.warning("what was read before goes on to hold: %s", error)
        return self._content

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
