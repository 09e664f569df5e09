"""The layouts of the batches that come again and again, and since when each family of series is known."""

from __future__ import annotations

import numpy as np

from models.detection.layout import Layout, family_key, lay_out
from models.detection.state import SeriesTable, Slots
from models.domain.base import Labels

KEPT = 16
"""Layouts at most: scrapes, logs and pushes of several clients alternate. A family counts as present for as many ticks
after its last one."""
HELD = 2
"""All kept layouts together hold at most this many times `max_series` series, the newest always: labels that are new in
each tick must not fill the memory."""


class Layouts:
    """Finds the layout of a batch: at once where the same tuple comes again, else by comparing or laying out anew."""

    def __init__(self, table: SeriesTable, warmup: int, max_series: int) -> None:
        self.table = table
        self.warmup = warmup
        self.max_series = max_series
        self.first: dict[str, int] = {}
        """The tick in which each family was first seen."""
        self.last: dict[str, int] = {}
        """The tick in which each was last seen; of layouts that are kept, `_used` knows better."""
        self._kept: list[Layout] = []
        self._used: list[int] = []

    def of(self, series: tuple[Labels, ...], tick: int) -> tuple[Layout, Slots]:
        """The layout of `series`, and the rows of counters that it has just brought to life among known ones."""
        for place, layout in enumerate(self._kept):
            if series is layout.series:
                self._used[place] = tick
                return layout, layout.slots[:0]
        for place, layout in enumerate(self._kept):
            if series == layout.series:
                self._used[place] = tick
                return layout, layout.slots[:0]
        return self._new(series, tick)

    def _new(self, series: tuple[Labels, ...], tick: int) -> tuple[Layout, Slots]:
        last = self.seen_last()
        settled = {
            name for name, at in last.items() if tick - at <= KEPT and tick - self.first.get(name, tick) >= self.warmup
        }
        layout, born = lay_out(series, self.table, settled, self.max_series)
        for name in layout.families:
            self.first.setdefault(name, tick)
        while self._kept and (len(self._kept) == KEPT or self._held() + len(series) > HELD * self.max_series):
            oldest = int(np.argmin(self._used))
            self.last = last
            del self._kept[oldest], self._used[oldest]
        self._kept.append(layout)
        self._used.append(tick)
        return layout, born

    def _held(self) -> int:
        return sum(len(layout.series) for layout in self._kept)

    def seen_last(self) -> dict[str, int]:
        """The tick in which each family was last seen."""
        last = dict(self.last)
        for layout, tick in zip(self._kept, self._used, strict=True):
            for name in layout.families:
                last[name] = max(tick, last.get(name, tick))
        return last

    def renumber(self) -> None:
        """Rows were dropped from the table: lay out anew, and forget families of which no series is left."""
        left = {family_key(labels) for labels in self.table.labels}
        self.first = {name: tick for name, tick in self.first.items() if name in left}
        self.last = {name: tick for name, tick in self.seen_last().items() if name in left}
        self._kept, self._used = [], []
