"""Stopping a worker: its workflows end at the next boundary between two steps, and continue at the next launch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Ends a workflow where it stands. Not an Exception: DBOS would record one as an answer of the step."""


class Interruption:
    """What workflows ask before a step, and how they wait, so that stopping is quick and nothing begins after it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stopping = False
        self._working = 0
        self._ask: Callable[[], None] | None = None

    def ask_first(self, question: Callable[[], None]) -> None:
        """`check` asks this too: it returns where work may go on, and raises Stopped where it may not."""
        self._ask = question

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
        if self._ask is not None:
            self._ask()

    def pause(self, seconds: float) -> None:
        """As `time.sleep`. Raises Stopped, at once, when this worker stops."""
        self.rest(seconds)
        self.check()

    def rest(self, seconds: float) -> None:
        """As `pause`, for what `check` itself asks."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=max(0.0, seconds))
        if self._stopping:
            raise Stopped

    def begin_to_stop(self) -> None:
        """Nothing new is begun from now on."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def stop(self, seconds: float) -> bool:
        """Stop; waits so long for what cannot be cut short, such as an act. Whether all ended."""
        self.begin_to_stop()
        with self._changed:
            return self._changed.wait_for(lambda: self._working == 0, timeout=seconds)
