"""The detector's doorway: samples of one tick in, anomalies out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.domain.base import Labels
from models.domain.signal import Anomaly


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of many series at one tick. Series may come and go from one tick to the next.

    `at` is in unix seconds; `series` holds the labels of n series (`__name__` included), `values` their n
    float64 values (NaN: no sample).
    """

    at: float
    series: tuple[Labels, ...]
    values: NDArray[np.float64]


class Detector(Protocol):
    """Scores samples as they come: no look-ahead, no labels. Entry-point group: `suture.detectors`."""

    def observe(self, batch: Batch) -> list[Anomaly]:
        """Take one tick into the state and return the series that depart now, after false-discovery control."""

    def dump(self) -> bytes:
        """The whole state, such that `restore` of it continues exactly where this left off."""

    def restore(self, state: bytes) -> None:
        """Continue from a dumped state. Raises ValueError where it is of another version."""


@runtime_checkable
class Bounded(Protocol):
    """What a detector with a cap tells besides."""

    @property
    def max_series(self) -> int:
        """Series for which there is room."""

    @property
    def series(self) -> int:
        """Series that are known now."""

    refused_total: int
    """Samples that were not scored because there was no room for their series, since the start of the process."""
