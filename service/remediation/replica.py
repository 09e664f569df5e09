"""Who a worker is, over restarts: workflows in progress continue where they were begun, and nowhere else meanwhile."""

from __future__ import annotations

import fcntl
import uuid
from pathlib import Path
from typing import IO

from models.domain.errors import Conflict
from service.files import write_once

_IDENTITY = "replica-id"
_LOCK = "worker.lock"


class Replica:
    """One worker, by its state folder. Two that took themselves for the same would both continue a workflow."""

    def __init__(self, state_dir: Path) -> None:
        """The identity is made on first use, and kept in the folder."""
        self._folder = state_dir
        self._lock: IO[str] | None = None
        self.identity = write_once(state_dir / _IDENTITY, uuid.uuid4().hex)

    def claim(self) -> None:
        """Hold the folder until this process ends, however it ends. Raises Conflict where another worker holds it."""
        if self._lock is not None:
            return
        file = (self._folder / _LOCK).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise Conflict(
                f"another worker runs on {self._folder}; give each replica a state folder of its own (--data DIR)"
            ) from error
        self._lock = file

    def release(self) -> None:
        """Let another worker have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
