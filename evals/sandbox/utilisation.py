"""How busy a worker is: the share of time in which its event loop does not wait.

Unlike CPU time, this stays true on a machine whose cores others use too: a worker that is kept from the CPU is busy.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections import deque

WINDOW = 3.0
"""Seconds over which the share is taken: a few dozen checkouts, so that chance evens out."""
_STEP = 0.5


class _Selector(selectors.DefaultSelector):
    """Counts the seconds that the loop waits for something to do."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        started = time.perf_counter()
        try:
            return super().select(timeout)
        finally:
            self.waited += time.perf_counter() - started


class MeasuredLoop(asyncio.SelectorEventLoop):
    """An event loop that knows how long it waited."""

    def __init__(self) -> None:
        self._measured = _Selector()
        super().__init__(self._measured)

    @property
    def waited(self) -> float:
        """Seconds, since it was made."""
        return self._measured.waited


class Utilisation:
    """The busy share of the running MeasuredLoop, over the last WINDOW seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque(maxlen=int(WINDOW / _STEP) + 1)
        self.share = 0.0

    async def watch(self) -> None:
        """Keep `share` fresh, until cancelled."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MeasuredLoop)
        while True:
            self._marks.append((time.perf_counter(), loop.waited))
            (start, waited_then), (now, waited) = self._marks[0], self._marks[-1]
            if now > start:
                self.share = min(1.0, max(0.0, 1.0 - (waited - waited_then) / (now - start)))
            await asyncio.sleep(_STEP)
