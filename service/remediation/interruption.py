"""Stopping a worker: its workflows end at the next boundary between two steps, and continue at the next launch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Ends a workflow where it stands. Not an Exception: DBOS would record one as an answer of the step."""


class Interruption:
    """What workflows ask before a step, and how they wait, so that stopping is quick and nothing begins after it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stopping = False
        self._working = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around a whole workflow: `stop` waits for its end."""
        with self._changed:
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def check(self) -> None:
        """Raises Stopped once this worker stops."""
        if self._stopping:
            raise Stopped

    def pause(self, seconds: float) -> None:
        """As `time.sleep`. Raises Stopped, at once, when this worker stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=max(0.0, seconds))
        self.check()

    def stop(self, seconds: float) -> bool:
        """Stop; waits so long for what cannot be cut short, such as an act. Whether all ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._working == 0, timeout=seconds)
