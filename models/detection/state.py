"""The state of all series: one array a field, one row a series; about 130 bytes a series and its labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detection.meaning import kind_of
from models.domain.base import Labels

Slots = NDArray[np.intp]

Rows = dict[str, NDArray[Any]]
"""Fields of some series, taken out of the table: shape [n] each."""

FIELDS: dict[str, type] = {
    "kind": np.int8,
    "last_value": np.float64,  # as sampled
    "last_count": np.float64,  # of the sibling `_count`, for sums
    "last_at": np.float64,  # unix seconds
    "interval": np.float64,  # usual seconds between samples
    "whole": np.bool_,  # only whole numbers so far
    "seen": np.int32,  # scored values so far
    "slow": np.float64,  # forecast of the slow level
    "fast": np.float64,
    "slow_error": np.float64,  # mean absolute error of it
    "fast_error": np.float64,
    "rise": np.float64,  # CUSUM upwards
    "fall": np.float64,
    "run": np.int32,  # ticks that the present departure has held
    "reported": np.bool_,  # the present departure was reported
    "held": np.int32,  # ticks without an update because of the departure
    "peak": np.float64,  # highest score of the present excursion over the threshold
    "peaks": np.float64,  # excursions that ended
    "peak_sum": np.float64,  # their excesses, summed
    "over": np.float64,  # ticks over the threshold
    "ticks": np.float64,  # ticks scored
}
FIRST: dict[str, Any] = {"last_value": np.nan, "last_count": np.nan, "last_at": -np.inf, "whole": True}


class SeriesTable:
    """Rows for series; `self[field]` is the array of a field, shape [capacity]."""

    def __init__(self) -> None:
        self.labels: list[Labels] = []
        """Labels by slot, as the series came in."""
        self.slots: dict[frozenset[tuple[str, str]], int] = {}
        self.columns: dict[str, NDArray[Any]] = {}
        self._allocate(256)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, field: str) -> NDArray[Any]:
        return self.columns[field]

    def _allocate(self, capacity: int) -> None:
        for name, dtype in FIELDS.items():
            column: NDArray[Any] = np.full(capacity, FIRST.get(name, 0), dtype=dtype)
            if name in self.columns:
                column[: len(self)] = self.columns[name][: len(self)]
            self.columns[name] = column

    def slot(self, labels: Labels) -> int | None:
        """The row of a series, None where it has none yet."""
        return self.slots.get(frozenset(labels.items()))

    def add(self, labels: Labels) -> int:
        """A new row for a series."""
        slot = len(self)
        if slot == len(self.columns["kind"]):
            self._allocate(2 * slot)
        self.slots[frozenset(labels.items())] = slot
        self.labels.append(dict(labels))
        for name in FIELDS:
            self.columns[name][slot] = FIRST.get(name, 0)
        self.columns["kind"][slot] = kind_of(labels.get("__name__", ""))
        return slot

    def keep(self, rows: Slots) -> None:
        """Drop every row but these, in their order."""
        for name in FIELDS:
            self.columns[name] = self.columns[name][rows].copy()
        self.labels = [self.labels[row] for row in rows]
        self.slots = {frozenset(labels.items()): slot for slot, labels in enumerate(self.labels)}
        if not len(self):
            self._allocate(256)

    def take(self, slots: Slots) -> Rows:
        """Copies of all fields of those rows."""
        return {name: column[slots] for name, column in self.columns.items()}

    def put(self, slots: Slots, rows: Rows) -> None:
        """Write them back."""
        for name, column in rows.items():
            self.columns[name][slots] = column
