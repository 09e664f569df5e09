"""The detector that takes all series through one tick in lock-step: entry point `lockstep` of `suture.detectors`.

For each series a robust one-step forecast gives a standardised departure z; a two-sided CUSUM (Page 1954) of z,
clipped, adds up what lasts; a tail model turns that into a p-value (`calibration`), and false-discovery control
over all series decides which departures are anomalies (`fdr`). An anomaly is reported at each tick while it lasts.
Meanwhile its series learns nothing, until the departure has lasted so long that it is the new normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detection import rates
from models.detection.batch import Batch
from models.detection.calibration import LEAST_TAIL, Reference, score_of
from models.detection.config import DetectorConfig, read_config
from models.detection.fdr import BatchControl
from models.detection.forecast import CLIP, adopt, forecast, learn
from models.detection.layout import Layout, family_key, lay_out
from models.detection.meaning import Kind
from models.detection.saved import pack, unpack
from models.detection.state import FIELDS, Rows, SeriesTable, Slots
from models.domain.base import Labels
from models.domain.signal import Anomaly

Floats = NDArray[np.float64]

ALLOWANCE = 1.0
"""What the CUSUM forgives each tick, in scales: tuned to shifts of twice that (Page's rule)."""
TICK_AT_MOST = 8.0
"""One tick adds at most this much: a departure must last to be an anomaly."""
SCORE_AT_MOST = 80.0
LASTS = 2.0
"""A departure lasts while it is beyond this many scales on the same side."""
PEAK_AT_MOST = 5.0
"""A peak counts up to this many mean excesses in its series' tail: an incident must not deafen its series."""
MEMORY = 1.0 - 1.0 / 5000.0
"""A series' own tail forgets with this factor a tick."""
TIDY_EVERY = 256
"""Ticks between looking for series that went away."""


def build(config: Mapping[str, Any], context: object = None) -> LockstepDetector:  # noqa: ARG001  (the entry points' shape)
    """A detector with the settings of section `detector.config`. Raises BadInput where they are wrong."""
    return LockstepDetector(read_config(config))


@dataclass(frozen=True)
class Assessment:
    """What one tick says of every series that was scored: arrays of shape [m], `positions` into the batch."""

    positions: NDArray[np.intp]
    p_values: Floats
    scores: Floats
    reported: NDArray[np.bool_]
    observed: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    rising: NDArray[np.bool_]


class LockstepDetector:
    """Implements `models.detection.batch.Detector`. One process, one thread at a time."""

    def __init__(self, config: DetectorConfig) -> None:
        self.config = config
        self.table = SeriesTable()
        self.reference = Reference()
        self.control = BatchControl(config.alpha, config.horizon)
        self.tick = 0
        self.last_at = -np.inf
        self.refused = 0
        """Series of the last batch for which there was no room."""
        self._families: dict[str, int] = {}
        """The tick in which each family was first seen."""
        self._present: frozenset[str] = frozenset()
        """Families of the last tick."""
        self._layout: Layout | None = None

    def observe(self, batch: Batch) -> list[Anomaly]:
        """Take one tick into the state and return the anomalies that hold now."""
        assessment = self.assess(batch)
        at = datetime.fromtimestamp(batch.at, UTC)
        return [_anomaly(assessment, int(row), batch, at) for row in np.flatnonzero(assessment.reported)]

    def assess(self, batch: Batch) -> Assessment:
        """Take one tick into the state and return what it says of every series past its warm-up."""
        layout = self._layout_of(batch)
        values = np.asarray(batch.values, dtype=np.float64)
        fresh = np.isfinite(values[layout.positions]) & (batch.at > self.table["last_at"][layout.slots])
        slots, positions = layout.slots[fresh], layout.positions[fresh]
        siblings = layout.siblings[fresh]
        counts = np.where(siblings >= 0, values[siblings] if len(values) else np.nan, np.nan)
        rows = self.table.take(slots)
        observed = rates.observed_of(rows, batch.at, values[positions], counts)
        known = np.isfinite(observed)
        self.table.put(slots[~known], {name: column[~known] for name, column in rows.items()})
        rows = {name: column[known] for name, column in rows.items()}
        assessment = self._score(rows, positions[known], observed[known])
        self.table.put(slots[known], rows)
        self._end_tick(batch.at, layout)
        return assessment

    def _score(self, rows: Rows, positions: NDArray[np.intp], observed: Floats) -> Assessment:
        config, reference = self.config, self.reference
        value = rates.to_scale(rows, observed)
        level, scale = forecast(rows, config)
        z = (value - level) / scale
        z = np.where((rows["kind"] == Kind.STATE), np.minimum(z, 0.0), z)
        score = _accumulate(rows, z, rows["seen"] >= config.warmup // 2)
        tested = rows["seen"] >= config.warmup
        tails = reference.tails(rows["peaks"], rows["peak_sum"])
        # A state does not wander: its tail is the lightest there is, however noisy the other series are.
        tails = np.where(rows["kind"] == Kind.STATE, LEAST_TAIL, tails)
        p = reference.p_values(score, tails, rows["over"], rows["ticks"])
        self._decide(rows, p, tested)
        reported = rows["reported"].copy()
        self._remember(rows, score)
        band = CLIP * scale
        result = Assessment(
            positions=positions[tested],
            p_values=p[tested],
            scores=score_of(p[tested]),
            reported=reported[tested],
            observed=observed[tested],
            expected=rates.from_scale(rows, level)[tested],
            lower=rates.from_scale(rows, level - band)[tested],
            upper=rates.from_scale(rows, level + band)[tested],
            rising=(z > 0)[tested],
        )
        self._learn(rows, value, z, tested)
        return result

    def _decide(self, rows: Rows, p: Floats, tested: NDArray[np.bool_]) -> None:
        """Mark what is reported: what false-discovery control finds now, and what lasts since it was found."""
        lasting = rows["reported"] & (rows["run"] != 0)
        over = rows["reported"] & ~lasting
        rows["rise"] = np.where(over, 0.0, rows["rise"])
        rows["fall"] = np.where(over, 0.0, rows["fall"])
        asked = np.flatnonzero(tested & ~rows["reported"])
        held = np.abs(rows["run"][asked]) >= self.config.persist
        lasting[asked] = self.control.decide(np.where(held, p[asked], 1.0)) & held
        rows["reported"] = lasting

    def _remember(self, rows: Rows, score: Floats) -> None:
        """Feed the reference and each series' own tail, anomalies apart."""
        reference = self.reference
        ready = rows["seen"] >= self.config.warmup // 2
        calm = ready & ~rows["reported"]
        above = score > reference.threshold
        ended = ~above & (rows["peak"] > 0)
        excess = np.clip(rows["peak"] - reference.threshold, 0.0, PEAK_AT_MOST * reference.tail)
        rows["peaks"] = rows["peaks"] * MEMORY + ended
        rows["peak_sum"] = rows["peak_sum"] * MEMORY + np.where(ended, excess, 0.0)
        rows["peak"] = np.where(above, np.maximum(rows["peak"], score), 0.0)
        rows["over"] = rows["over"] * MEMORY + (above & calm)
        rows["ticks"] = rows["ticks"] * MEMORY + calm
        limit = reference.threshold + PEAK_AT_MOST * reference.tail
        reference.add(np.minimum(score[calm & (rows["kind"] != Kind.STATE)], limit), self.tick)

    def _learn(self, rows: Rows, value: Floats, z: Floats, tested: NDArray[np.bool_]) -> None:
        """Update the forecast, except while a series departs; adopt a departure that has become normal."""
        config = self.config
        # From its second tick on a departure is not learnt, else the forecast would follow before the CUSUM has spoken;
        # the fast level goes on until the report, for series that wander.
        departing = tested & (rows["reported"] | (np.abs(z) > CLIP) | (np.abs(rows["run"]) >= 2))
        rows["held"] = np.where(departing, rows["held"] + 1, 0)
        adopted = (rows["held"] >= config.adapt_after) & (rows["kind"] != Kind.STATE)
        learn(rows, value, departing & ~adopted, rows["reported"] & ~adopted, config)
        adopt(rows, value, adopted, config.warmup // 2)
        for name in ("rise", "fall", "run", "held", "reported", "peak"):
            rows[name] = np.where(adopted, 0, rows[name]).astype(FIELDS[name])

    def _layout_of(self, batch: Batch) -> Layout:
        if self._layout is not None and (batch.series is self._layout.series or batch.series == self._layout.series):
            return self._layout
        settled = {name for name in self._present if self.tick - self._families[name] >= self.config.warmup}
        layout = lay_out(batch.series, self.table, settled, self.config.max_series)
        for name in layout.families:
            self._families.setdefault(name, self.tick)
        self._bear(layout.slots[layout.newborn])
        self._layout = layout
        self.refused = layout.refused
        return layout

    def _bear(self, slots: Slots) -> None:
        """Give counters that came into being among known ones their past: they stood at 0."""
        zero = 2.0 * np.sqrt(3.0 / 8.0)  # no event, on the scale of scoring
        for name, start in (("slow", zero), ("fast", zero), ("seen", self.config.warmup), ("last_value", 0.0)):
            self.table[name][slots] = start
        self.table["last_at"][slots] = self.last_at

    def _end_tick(self, at: float, layout: Layout) -> None:
        self._present = layout.families
        self.last_at = max(self.last_at, at)
        self.tick += 1
        if self.tick % TIDY_EVERY == 0:
            self._tidy()

    def _tidy(self) -> None:
        """Drop series, and families of them, that were silent for longer than `forget_after`."""
        oldest = self.last_at - self.config.forget_after.total_seconds()
        last = self.table["last_at"][: len(self.table)]
        # A series that never had a number has no time: it goes, and comes again with its first.
        keep = np.flatnonzero(last >= oldest)
        if len(keep) < len(self.table):
            self.table.keep(keep)
            left = {family_key(labels) for labels in self.table.labels}
            self._families = {name: tick for name, tick in self._families.items() if name in left}
            self._present = frozenset(self._present & left)
            self._layout = None

    def dump(self) -> bytes:
        """The whole state as an npz file."""
        meta = {
            "labels": self.table.labels,
            "families": self._families,
            "present": sorted(self._present),
            "tick": self.tick,
            "last_at": self.last_at if np.isfinite(self.last_at) else None,
            "reference": [self.reference.count, self.reference.threshold, self.reference.tail],
            "control": self.control.tick,
        }
        columns = {name: self.table[name][: len(self.table)] for name in FIELDS}
        return pack(meta, {"ring": self.reference.ring, "levels": self.control.ticks, **columns})

    def restore(self, state: bytes) -> None:
        """Continue from a dumped state. Raises ValueError where it is of another version or no state at all."""
        meta, arrays = unpack(state)
        table = SeriesTable()
        for labels in meta["labels"]:
            table.add(labels)
        table.put(np.arange(len(table)), {name: arrays[name] for name in FIELDS})
        reference = Reference()
        reference.ring = arrays["ring"]
        reference.count, reference.threshold, reference.tail = meta["reference"]
        control = BatchControl(self.config.alpha, self.config.horizon)
        if arrays["levels"].shape == control.ticks.shape:  # of another horizon: the budget starts anew
            control.ticks, control.tick = arrays["levels"], meta["control"]
        self.table, self.reference, self.control = table, reference, control
        self._families, self._present = meta["families"], frozenset(meta["present"])
        self.tick = meta["tick"]
        self.last_at = -np.inf if meta["last_at"] is None else meta["last_at"]
        self._layout = None


def _accumulate(rows: Rows, z: Floats, ready: NDArray[np.bool_]) -> Floats:
    """Bring CUSUMs and runs up to date with z; the score is the larger CUSUM, 0 where not `ready`."""
    step = np.clip(z, -TICK_AT_MOST, TICK_AT_MOST)
    rows["rise"] = np.where(ready, np.clip(rows["rise"] + step - ALLOWANCE, 0.0, SCORE_AT_MOST), 0.0)
    rows["fall"] = np.where(ready, np.clip(rows["fall"] - step - ALLOWANCE, 0.0, SCORE_AT_MOST), 0.0)
    side = np.where(z > LASTS, 1, np.where(z < -LASTS, -1, 0))
    run = rows["run"]
    rows["run"] = np.where(side == 0, 0, np.where(side * run > 0, run + side, side)).astype(np.int32)
    # A sum on one side says nothing for a departure to the other.
    return np.where(side > 0, rows["rise"], np.where(side < 0, rows["fall"], np.maximum(rows["rise"], rows["fall"])))


def _anomaly(assessment: Assessment, row: int, batch: Batch, at: datetime) -> Anomaly:
    labels: Labels = batch.series[assessment.positions[row]]
    return Anomaly(
        labels=labels,
        at=at,
        score=float(assessment.scores[row]),
        p_value=float(assessment.p_values[row]),
        observed=float(assessment.observed[row]),
        expected=float(assessment.expected[row]),
        lower=float(assessment.lower[row]),
        upper=float(assessment.upper[row]),
        direction="up" if assessment.rising[row] else "down",
    )
