"""The state of all series: one array of records, 128 bytes a series and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.detection.feedback import Tolerances, class_of
from models.detection.meaning import kind_of
from models.domain.base import Labels

Slots = NDArray[np.intp]
Row: TypeAlias = Any
Rows = NDArray[np.void]
"""A record of `ROW`; records, shape [n]."""

ROW = np.dtype(
    [
        ("last_value", np.float64),  # as sampled
        ("last_count", np.float64),  # of the sibling `_count`, for sums
        ("last_at", np.float64),  # unix seconds
        ("heard", np.float64),  # the same in the detector's own time (`elapsed`)
        ("observed", np.float64),  # last quantity in its own unit (`rates`)
        ("interval", np.float64),  # usual seconds between samples
        ("slow", np.float64),  # forecast of the slow level
        ("fast", np.float64),
        ("slow_error", np.float64),  # mean absolute error of it
        ("fast_error", np.float64),
        ("rise", np.float32),  # CUSUM upwards
        ("fall", np.float32),
        ("peak", np.float32),  # highest score of the present excursion over the threshold
        ("peaks", np.float32),  # excursions that ended
        ("peak_sum", np.float32),  # their excesses, summed
        ("over", np.float32),  # ticks over the threshold
        ("ticks", np.float32),  # ticks scored
        ("tolerance", np.float32),  # of people, see `feedback`
        ("seen", np.int32),  # scored values so far
        ("run", np.int32),  # ticks that the present departure has held
        ("held", np.int32),  # ticks without an update because of the departure
        ("kind", np.int8),
        ("whole", np.bool_),  # only whole numbers so far
        ("reported", np.bool_),  # the present departure was reported
        ("behind", np.int8),  # samples in a row that were older than the last one
    ],
    align=True,
)
FIRST: dict[str, Any] = {
    "last_value": np.nan,
    "last_count": np.nan,
    "last_at": -np.inf,
    "heard": -np.inf,
    "observed": np.nan,
    "tolerance": 1.0,
    "whole": True,
}

MARK = np.dtype(
    [
        ("observed", np.float64),  # in its own unit, NaN: nothing to score
        ("value", np.float64),  # on the scale of scoring (`rates`), as all that follows
        ("level", np.float64),  # expected
        ("scale", np.float64),
        ("z", np.float64),
        ("score", np.float64),
        ("p", np.float64),
        ("tested", np.bool_),  # past its warm-up
        ("reported", np.bool_),
    ],
    align=True,
)
"""What a tick says of one series."""
Mark: TypeAlias = Any
Marks = NDArray[np.void]
"""A record of `MARK`; records, shape [m]."""


class SeriesTable:
    """Records of series; `table[field]` is a view of one field, shape [capacity]."""

    def __init__(self) -> None:
        self.labels: list[Labels] = []
        """Labels by slot, as the series came in."""
        self.slots: dict[frozenset[tuple[str, str]], int] = {}
        self.rows: Rows = _empty(256)
        self.tolerances: Tolerances = {}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, field: str) -> NDArray[Any]:
        return self.rows[field]

    def slot(self, labels: Labels) -> int | None:
        """The row of a series, None where it has none yet."""
        return self.slots.get(frozenset(labels.items()))

    def add(self, labels: Labels) -> int:
        """A new row for a series."""
        slot = len(self)
        if slot == len(self.rows):
            self.rows = np.concatenate([self.rows, _empty(slot)])
        self.slots[frozenset(labels.items())] = slot
        self.labels.append(dict(labels))
        self.rows[slot] = _empty(1)[0]
        self["kind"][slot] = kind_of(labels.get("__name__", ""))
        self["tolerance"][slot] = self.tolerance(labels)
        return slot

    def tolerance(self, labels: Labels) -> float:
        """What feedback says of a series' class; 1 where it says nothing."""
        return self.tolerances.get(class_of(labels), 1.0) if self.tolerances else 1.0

    def tune(self, tolerances: Tolerances) -> None:
        """Take these, for the series that are there and for those that come."""
        self.tolerances = dict(tolerances)
        self["tolerance"][: len(self)] = [self.tolerance(labels) for labels in self.labels]

    def keep(self, slots: Slots) -> None:
        """Drop every row but these, in their order."""
        self.rows = np.concatenate([self.rows[slots], _empty(max(256 - len(slots), 0))])
        self.labels = [self.labels[slot] for slot in slots]
        self.slots = {frozenset(labels.items()): slot for slot, labels in enumerate(self.labels)}

    def columns(self) -> dict[str, NDArray[Any]]:
        """A copy of each field, shape [series]; what is saved."""
        return {name: self.rows[name][: len(self)].copy() for name in ROW.names or ()}

    def fill(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write saved fields back; a field that an older version did not know keeps its first value."""
        for name in ROW.names or ():
            if name in columns:
                self.rows[name][: len(self)] = columns[name]


def _empty(count: int) -> Rows:
    rows = np.zeros(count, dtype=ROW)
    for name, value in FIRST.items():
        rows[name] = value
    return rows
