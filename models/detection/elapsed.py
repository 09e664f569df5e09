"""The detector's own time: what the times of batches add up to, without their jumps."""

from __future__ import annotations

import numpy as np

SET_BACK = 30
"""Batches in a row that are older than the newest one before the clock counts as set back; fewer came late."""


class Elapsed:
    """Seconds that went by as far as batches tell. One wrong clock must not make all other series look silent."""

    def __init__(self, step_at_most: float) -> None:
        """A batch moves it on by `step_at_most` seconds at most."""
        self.step_at_most = step_at_most
        self.seconds = 0.0
        self.newest = -np.inf
        """The time of the newest batch, unix seconds."""
        self.behind = 0

    def move(self, at: float) -> float:
        """Take the time of a batch, unix seconds; the seconds that went by until then."""
        if at > self.newest:
            # Of the first batch nobody knows what it came after.
            self.seconds += min(at - self.newest, self.step_at_most) if np.isfinite(self.newest) else 0.0
            self.newest, self.behind = at, 0
        elif at < self.newest:
            self.behind += 1
            if self.behind == SET_BACK:
                self.newest, self.behind = at, 0
        return self.seconds
