"""The state of the deep tier: arrays with a row a series, of fixed size: 68 kB a series and its labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detection.deep.kernel import MEMORY, SPANS, WINDOW
from models.detection.meaning import kind_of
from models.domain.base import Labels

CAPACITY = 1024
"""Values of the past, and distances, that are kept of each aspect of a series: a sketch where it was longer. On the
benchmark's files 1024 score as all of it; 768 do not."""

FIELDS: dict[str, tuple[tuple[int, ...], type, float]] = {
    "kind": ((), np.int8, 0),
    "last_value": ((), np.float64, np.nan),  # as sampled
    "last_at": ((), np.float64, -np.inf),  # unix seconds
    "window": ((2 * WINDOW,), np.float64, 0),  # the newest values, each twice
    "seen": ((), np.int64, 0),  # values so far
    "past": ((len(SPANS), CAPACITY), np.float64, 0),  # of each aspect, in order
    "held": ((len(SPANS),), np.int64, 0),  # how many of them
    "distances": ((len(SPANS), CAPACITY), np.float64, 0),  # to the nearest of the past, in order
    "kept": ((len(SPANS), 3), np.int64, 0),  # how many of them; one of how many is kept; since the last that was
    "recent": ((MEMORY,), np.float64, 0),  # surprise of the last samples
    "burden": ((1,), np.float64, 0),  # onsets so far, decayed
    "lasting": ((), np.int32, 0),  # ticks that the reported departure has held; 0: there is none
    "edge": ((), np.float64, 0),  # of the band that it left
    "rising": ((), np.bool_, 0),
}
STEPPED = ("window", "seen", "past", "held", "distances", "kept", "recent", "burden")
"""The fields of `kernel.step`, in its order."""


class DeepState:
    """Rows for series; `self[field]` is the array of a field, shape [capacity, …]."""

    def __init__(self) -> None:
        self.labels: list[Labels] = []
        """Labels by row."""
        self.rows: dict[frozenset[tuple[str, str]], int] = {}
        self.columns = {name: _empty(name, 16) for name in FIELDS}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, field: str) -> NDArray[Any]:
        return self.columns[field]

    def stepped(self) -> tuple[NDArray[Any], ...]:
        """What the kernel works on."""
        return tuple(self.columns[name] for name in STEPPED)

    def row(self, labels: Labels, at_most: int) -> int | None:
        """The row of a series, a new one where it has none; None where there is no room."""
        key = frozenset(labels.items())
        found = self.rows.get(key)
        if found is not None or len(self) >= at_most:
            return found
        row = len(self)
        if row == len(self["kind"]):
            self.columns = {name: np.concatenate([held, _empty(name, row)]) for name, held in self.columns.items()}
        self.rows[key] = row
        self.labels.append(dict(labels))
        self["kind"][row] = kind_of(labels.get("__name__", ""))
        return row

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Drop every row but these, in their order."""
        room = max(16, len(rows))
        for name in FIELDS:
            column = _empty(name, room)
            column[: len(rows)] = self[name][rows]
            self.columns[name] = column
        self.labels = [self.labels[row] for row in rows]
        self.rows = {frozenset(labels.items()): row for row, labels in enumerate(self.labels)}


def _empty(name: str, rows: int) -> NDArray[Any]:
    shape, dtype, first = FIELDS[name]
    column: NDArray[Any] = np.full((rows, *shape), first, dtype=dtype)
    if name == "kept":
        column[..., 1] = 1
    return column


def bytes_a_series() -> int:
    """Bytes of one row."""
    return sum(column.nbytes // len(column) for column in DeepState().columns.values())
