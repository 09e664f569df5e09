"""The detector of the deep tier: entry point `deep` of `suture.detectors`, for series that matter.

Each sample is compared with the whole past of its series (`kernel`); what is new there as nothing was before is an
onset with a p-value, and false-discovery control over all series decides which onsets are anomalies (`fdr`). An anomaly
is reported while its series stays beyond the band that it left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detection.batch import Batch
from models.detection.calibration import score_of
from models.detection.deep import kernel
from models.detection.deep.config import DeepConfig, read_config
from models.detection.deep.state import FIELDS, DeepState
from models.detection.fdr import BatchControl
from models.detection.kernel import LEAST_P
from models.detection.meaning import Kind, kind_of
from models.detection.saved import pack, unpack
from models.domain.base import Labels
from models.domain.signal import Anomaly

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

COMPONENTS = ("value", "mean of 3", "mean of 18", "change of the mean of 48")
"""The aspects of a series, by their number, as an anomaly names them."""
CHANGE = 3
"""The aspect whose departure is a moment, not a state."""
TIDY_EVERY = 256
"""Ticks between looking for series that went away."""


def build(config: Mapping[str, Any], context: object = None) -> DeepDetector:  # noqa: ARG001  (the entry points' shape)
    """A detector with the settings of section `detector.config`. Raises BadInput where they are wrong."""
    return DeepDetector(read_config(config))


@dataclass(frozen=True)
class Told:
    """What one tick says of the series that had a sample: arrays of shape [m], `positions` into the batch."""

    positions: Places
    rows: Places
    said: Floats
    """Shape [m, 6], columns as in `kernel`."""


class DeepDetector:
    """Implements `models.detection.batch.Detector`. One process, one thread at a time."""

    def __init__(self, config: DeepConfig, tuning: kernel.Tuning = kernel.Tuning()) -> None:  # noqa: B008  (immutable)
        self.config = config
        self.tuning = tuning
        self.state = DeepState()
        self.control = BatchControl(config.alpha, config.horizon)
        self.tick = 0
        self.last_at = -np.inf
        self.refused = 0
        """Series of the last batch for which there was no room."""
        self.refused_total = 0
        """Samples of such, since the start of the process."""
        self._layout: tuple[tuple[Labels, ...], Places, Places] | None = None

    @property
    def series(self) -> int:
        """Series that are known now."""
        return len(self.state)

    @property
    def max_series(self) -> int:
        """Series for which there is room."""
        return self.config.max_series

    def knows(self, labels: Labels) -> bool:
        """Whether it holds the past of that series."""
        return frozenset(labels.items()) in self.state.rows

    def observe(self, batch: Batch) -> list[Anomaly]:
        """Take one tick into the state and return the anomalies that hold now."""
        told = self.assess(batch)
        onset = told.said[:, kernel.ONSET]
        p = np.clip(10.0**-onset, LEAST_P, 1.0)
        found = self.control.decide(p) & (onset > 0)
        reported = self._begin(told, found) | self._lasting(told)
        at = datetime.fromtimestamp(batch.at, UTC)
        return [self._anomaly(told, int(n), batch, at) for n in np.flatnonzero(reported)]

    def assess(self, batch: Batch) -> Told:
        """Take one tick into the state and return what it says of every series that had a sample."""
        positions, rows = self._places(batch.series)
        self.refused_total += self.refused
        values = np.asarray(batch.values, dtype=np.float64)
        fresh = np.isfinite(values[positions]) & (batch.at > self.state["last_at"][rows])
        positions, rows = positions[fresh], rows[fresh]
        observed = self._observed(rows, batch.at, values[positions])
        known = np.isfinite(observed)
        positions, rows = positions[known], rows[known]
        said = np.empty((len(rows), 6))
        kernel.step(rows, observed[known], self.state.stepped(), self.tuning, said)
        self._end_tick(batch.at)
        return Told(positions, rows, said)

    def _observed(self, rows: Places, at: float, values: Floats) -> Floats:
        """Gauges as they are, counters and sums as rates; NaN where a counter has no rate yet or was reset."""
        state = self.state
        change, elapsed = values - state["last_value"][rows], at - state["last_at"][rows]
        counted = (state["kind"][rows] == Kind.COUNTER) | (state["kind"][rows] == Kind.SUM)
        with np.errstate(invalid="ignore"):
            rate = np.where(change >= 0, change / elapsed, np.nan)
        state["last_value"][rows], state["last_at"][rows] = values, at
        return np.where(counted, rate, values)

    def _begin(self, told: Told, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Remember the departures that were found now; which they are."""
        state, rows, said = self.state, told.rows[found], told.said[found]
        rising = said[:, kernel.VALUE] > said[:, kernel.NEAREST]
        away = np.where(rising, said[:, kernel.USUAL], -said[:, kernel.USUAL])
        state["lasting"][rows] = said[:, kernel.ASPECT] != CHANGE
        state["rising"][rows] = rising
        state["edge"][rows] = said[:, kernel.NEAREST] + away
        return found

    def _lasting(self, told: Told) -> NDArray[np.bool_]:
        """Series that are still beyond the band that they left."""
        state, rows = self.state, told.rows
        begun = state["lasting"][rows]
        value = state["window"][rows, (state["seen"][rows] - 1) % kernel.WINDOW]
        rising, edge = state["rising"][rows], state["edge"][rows]
        beyond = np.where(rising, value > edge, value < edge)
        lasting = (begun > 0) & (begun <= self.config.lasts_at_most) & beyond
        state["lasting"][rows] = np.where(lasting, begun + 1, 0)
        return np.asarray(lasting)

    def _places(self, series: tuple[Labels, ...]) -> tuple[Places, Places]:
        """Where in the batch the series stand that are scored, each once, and their rows; new ones get a row."""
        if self._layout is not None and (series is self._layout[0] or series == self._layout[0]):
            return self._layout[1:]
        places: dict[int, int] = {}
        self.refused = 0
        for position, labels in enumerate(series):
            if kind_of(labels.get("__name__", "")) is Kind.SKIPPED:
                continue
            row = self.state.row(labels, self.config.max_series)
            if row is None:
                self.refused += 1
            else:
                places[row] = position  # of a series that stands twice the last sample counts
        found = np.array(list(places.values()), dtype=np.intp), np.array(list(places), dtype=np.intp)
        self._layout = (series, *found)
        return found

    def _anomaly(self, told: Told, n: int, batch: Batch, at: datetime) -> Anomaly:
        said, row = told.said[n], told.rows[n]
        p = max(10.0 ** -max(said[kernel.ONSET], said[kernel.SURPRISE]), LEAST_P)
        nearest, usual = said[kernel.NEAREST], said[kernel.USUAL]
        aspect = int(said[kernel.ASPECT])
        return Anomaly(
            labels=batch.series[told.positions[n]],
            at=at,
            score=float(score_of(np.array([p]))[0]),
            p_value=p,
            observed=float(said[kernel.VALUE]),
            expected=float(nearest),
            lower=float(nearest - usual),
            upper=float(nearest + usual),
            direction="up" if self.state["rising"][row] else "down",
            component=COMPONENTS[aspect] if aspect >= 0 else "",
        )

    def _end_tick(self, at: float) -> None:
        self.last_at = max(self.last_at, at)
        self.tick += 1
        if self.tick % TIDY_EVERY == 0:
            self._tidy()

    def _tidy(self) -> None:
        """Drop series that were silent for longer than `forget_after`."""
        oldest = self.last_at - self.config.forget_after.total_seconds()
        keep = np.flatnonzero(self.state["last_at"][: len(self.state)] >= oldest)
        if len(keep) < len(self.state):
            self.state.keep(keep)
            self._layout = None

    def dump(self) -> bytes:
        """The whole state as an npz file."""
        meta = {
            "tier": "deep",
            "labels": self.state.labels,
            "tick": self.tick,
            "last_at": self.last_at if np.isfinite(self.last_at) else None,
            "control": self.control.tick,
        }
        columns = {name: self.state[name][: len(self.state)] for name in FIELDS}
        return pack(meta, {"levels": self.control.ticks, **columns})

    def restore(self, state: bytes) -> None:
        """Continue from a dumped state. Raises ValueError where it is of another version or no state of this tier."""
        meta, arrays = unpack(state)
        if meta.get("tier") != "deep":
            raise ValueError("the state is of another detector")
        restored = DeepState()
        for labels in meta["labels"]:
            restored.row(labels, len(meta["labels"]))
        for name in FIELDS:
            restored[name][: len(restored)] = arrays[name]
        control = BatchControl(self.config.alpha, self.config.horizon)
        if arrays["levels"].shape == control.ticks.shape:  # of another horizon: the budget starts anew
            control.ticks, control.tick = arrays["levels"], meta["control"]
        self.state, self.control, self.tick = restored, control, meta["tick"]
        self.last_at = -np.inf if meta["last_at"] is None else meta["last_at"]
        self._layout = None
