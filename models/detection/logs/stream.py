"""When counts become samples: at the ends of intervals of the lines' own time.

Lines come late, from several senders, and sometimes hours of them at once from a collector that was cut off. So the
time of the stream follows the lines, in order, and the clock only where lines are live; an interval that lies behind is
not opened again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

LATE = 120.0
"""Seconds that a line may lie behind and still count in the present interval; older ones would seem a burst."""
GAP = 300.0
"""Seconds without any line after which the intervals between are left out."""


@dataclass
class Stream:
    """The time of the stream, in unix seconds."""

    interval: float
    until: float | None = None
    """The end of the interval that is being filled; None before the first line."""
    newest: float = -math.inf
    """The newest line."""
    arrived: float = -math.inf
    """When lines came last, by the clock."""

    def late(self, at: float) -> bool:
        """Whether a line of that time came too late for the series."""
        return self.until is not None and at < self.until - self.interval - LATE

    def reach(self, at: float) -> Iterator[float]:
        """Go on to a line of that time; yields the end of each interval that is over by then."""
        if self.until is None:
            self.until = self._end_after(at)
        if at - self.until > GAP:
            yield self.until
            self.until = self._end_after(at)
        while at >= self.until:
            yield self.until
            self.until += self.interval
        self.newest = max(self.newest, at)

    def clock(self, now: float) -> Iterator[float]:
        """Go on with the clock, one interval behind it. While lines of the past still come, the lines lead."""
        catching_up = now - self.newest > GAP and now - self.arrived < GAP
        if self.until is None or catching_up:
            return
        behind = now - self.interval
        if behind - self.until > GAP:
            yield self.until
            self.until = self._end_after(behind)
        while behind >= self.until:
            yield self.until
            self.until += self.interval

    def _end_after(self, at: float) -> float:
        return (math.floor(at / self.interval) + 1) * self.interval
