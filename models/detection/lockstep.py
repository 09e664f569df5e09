"""The detector that takes all series through one tick in lock-step: entry point `lockstep` of `suture.detectors`.

For each series a robust one-step forecast gives a standardised departure z; a two-sided CUSUM (Page 1954) of z,
clipped, adds up what lasts; a tail model turns that into a p-value (`calibration`), and false-discovery control
over all series decides which departures are anomalies (`fdr`). An anomaly is reported at each tick while it lasts.
Meanwhile its series learns nothing, until the departure has lasted so long that it is the new normal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detection import kernel, rates
from models.detection.assessment import Assessment, anomaly_of
from models.detection.batch import Batch
from models.detection.calibration import Reference, score_of
from models.detection.config import DetectorConfig, read_config
from models.detection.elapsed import Elapsed
from models.detection.explaining import explain
from models.detection.fdr import BatchControl
from models.detection.feedback import Explanation, Summary, Tolerances
from models.detection.layout import Layout
from models.detection.layouts import Layouts
from models.detection.saved import pack, unpack
from models.detection.state import MARK, Marks, SeriesTable, Slots
from models.domain.base import Labels
from models.domain.signal import Anomaly

Floats = NDArray[np.float64]

TIDY_EVERY = 256
"""Ticks between looking for series that went away."""
STEPS_TO_FORGET = 10
"""Batches at least between a series' last sample and its being forgotten, however far the clock jumps."""


def build(config: Mapping[str, Any], context: object = None) -> LockstepDetector:  # noqa: ARG001  (the entry points' shape)
    """A detector with the settings of section `detector.config`. Raises BadInput where they are wrong."""
    return LockstepDetector(read_config(config))


class LockstepDetector:
    """Implements `models.detection.batch.Detector` and `feedback.Tunable`. One process, one thread at a time."""

    def __init__(self, config: DetectorConfig) -> None:
        self.config = config
        self.table = SeriesTable()
        self.layouts = Layouts(self.table, config.warmup, config.max_series)
        self.reference = Reference()
        self.control = BatchControl(config.alpha, config.horizon)
        self.elapsed = Elapsed(config.forget_after.total_seconds() / STEPS_TO_FORGET)
        self.tick = 0
        self.refused = 0
        """Series of the last batch for which there was no room."""
        self.refused_total = 0
        """Samples of such, since the start of the process."""
        # Work space, as long as the longest batch so far.
        self._marks: Marks = np.zeros(0, dtype=MARK)
        self._places: Slots = np.zeros(0, dtype=np.intp)
        self._healthy: Floats = np.zeros(0)

    def observe(self, batch: Batch) -> list[Anomaly]:
        """Take one tick into the state and return the anomalies that hold now.

        Raises ValueError where a batch has not as many values as series.
        """
        layout, marks = self._step(batch)
        found = self._assessment(layout, marks, np.flatnonzero(marks["reported"]))
        at = datetime.fromtimestamp(batch.at, UTC) if len(found.positions) else None
        return [anomaly_of(found, row, batch, at) for row in range(len(found.positions)) if at is not None]

    def assess(self, batch: Batch) -> Assessment:
        """Take one tick into the state and return what it says of every series past its warm-up."""
        layout, marks = self._step(batch)
        return self._assessment(layout, marks, np.flatnonzero(marks["tested"]))

    def _step(self, batch: Batch) -> tuple[Layout, Marks]:
        """Take one tick into the state; what it says of each series of the layout, until the next tick."""
        # A copy: machine code for arrays that may be written to is not that for others.
        values = np.array(batch.values, dtype=np.float64)
        if values.shape != (len(batch.series),):
            raise ValueError(f"a batch of {len(batch.series)} series has values of shape {values.shape}")
        at, before = float(batch.at), self.elapsed.newest
        layout, born = self.layouts.of(batch.series, self.tick)
        self.refused = layout.refused
        self.refused_total += layout.refused
        self._bear(born, before)
        marks = self._room(len(layout.slots))
        heard = self.elapsed.move(at)
        rates.read(self.table.rows, marks, layout.slots, layout.positions, layout.siblings, values, at, heard)
        self._score(layout, marks)
        self.tick += 1
        if self.tick % TIDY_EVERY == 0:
            self._tidy()
        return layout, marks

    def _score(self, layout: Layout, marks: Marks) -> None:
        rows, slots, terms = self.table.rows, layout.slots, self._terms()
        tests, holding = kernel.score(rows, marks, slots, self._places, terms)
        asked = self._places[:holding]
        found = self.control.decide(marks["p"][asked], tests)
        rows["reported"][slots[asked[found]]] = True
        healthy = kernel.learn(rows, marks, slots, self._healthy, terms)
        self.reference.add(self._healthy[:healthy], self.tick)

    def _terms(self) -> kernel.Terms:
        config, reference = self.config, self.reference
        return kernel.Terms(
            warmup=config.warmup,
            persist=config.persist,
            adapt_after=config.adapt_after,
            floor=config.floor,
            floor_share=config.floor_share,
            threshold=reference.threshold,
            tail=reference.tail,
        )

    def _room(self, count: int) -> Marks:
        """Work space for `count` series."""
        if count > len(self._marks):
            self._marks = np.zeros(count, dtype=MARK)
            self._places = np.zeros(count, dtype=np.intp)
            self._healthy = np.zeros(count)
        return self._marks[:count]

    def _assessment(self, layout: Layout, marks: Marks, places: Slots) -> Assessment:
        """What the marks at `places` say, in the unit of what was observed."""
        rows, said = self.table.rows[layout.slots[places]], marks[places]
        band = kernel.CLIP * said["scale"]
        return Assessment(
            positions=layout.positions[places],
            p_values=said["p"],
            scores=score_of(said["p"]),
            reported=said["reported"],
            observed=said["observed"],
            expected=rates.from_scale(rows, said["level"]),
            lower=rates.from_scale(rows, said["level"] - band),
            upper=rates.from_scale(rows, said["level"] + band),
            rising=said["z"] > 0,
        )

    def _bear(self, slots: Slots, last_at: float) -> None:
        """Give counters that came into being among known ones their past: they stood at 0."""
        past = {"slow": rates.NO_EVENT, "fast": rates.NO_EVENT, "seen": self.config.warmup, "last_value": 0.0}
        for name, start in {**past, "last_at": last_at}.items():
            self.table[name][slots] = start

    def _tidy(self) -> None:
        """Drop series, and families of them, that were silent for longer than `forget_after`."""
        oldest = self.elapsed.seconds - self.config.forget_after.total_seconds()
        # A series that never had a number was never heard: it goes, and comes again with its first.
        keep = np.flatnonzero(self.table["heard"][: len(self.table)] >= oldest)
        if len(keep) < len(self.table):
            self.table.keep(keep)
            self.layouts.renumber()

    @property
    def max_series(self) -> int:
        """Series for which there is room."""
        return self.config.max_series

    @property
    def series(self) -> int:
        """Series that are known now."""
        return len(self.table)

    def tune(self, tolerances: Tolerances) -> None:
        """Use what feedback says of each class of series from the next tick on."""
        self.table.tune(tolerances)

    def summary(self) -> Summary:
        """All series together."""
        rows = self.table.rows[: len(self.table)]
        return Summary(
            series=len(rows),
            max_series=self.config.max_series,
            reported=int(rows["reported"].sum()),
            warming_up=int((rows["seen"] < self.config.warmup).sum()),
        )

    def known(self) -> list[Labels]:
        """The labels of all series that it holds."""
        return list(self.table.labels)

    def explain(self, slots: Iterable[int]) -> list[Explanation]:
        """What it knows of series, by their places in `known`."""
        places = np.fromiter(slots, dtype=np.intp)
        labels = [self.table.labels[place] for place in places]
        threshold = self.control.threshold(len(self.table))
        return explain(self.table.rows[places], labels, self._terms(), threshold)

    def dump(self) -> bytes:
        """The whole state as an npz file."""
        elapsed = self.elapsed
        meta = {
            "labels": self.table.labels,
            "first": self.layouts.first,
            "last": self.layouts.seen_last(),
            "tick": self.tick,
            "elapsed": [elapsed.seconds, elapsed.newest if np.isfinite(elapsed.newest) else None, elapsed.behind],
            "reference": [self.reference.count, self.reference.threshold, self.reference.tail],
            "control": self.control.tick,
        }
        arrays = {"ring": self.reference.ring, "levels": self.control.ticks}
        return pack(meta, {**arrays, **self.table.columns()})

    def restore(self, state: bytes) -> None:
        """Continue from a dumped state. Raises ValueError where it is of another version or no state of this tier."""
        meta, arrays = unpack(state)
        if "tier" in meta:
            raise ValueError("the state is of another detector")
        fresh = LockstepDetector(self.config)
        for labels in meta["labels"]:
            fresh.table.add(labels)
        fresh.table.fill(arrays)
        fresh.table.tune(self.table.tolerances)
        fresh.layouts.first, fresh.layouts.last = meta["first"], meta["last"]
        fresh.reference.ring = arrays["ring"]
        fresh.reference.count, fresh.reference.threshold, fresh.reference.tail = meta["reference"]
        if arrays["levels"].shape == fresh.control.ticks.shape:  # of another horizon: the budget starts anew
            fresh.control.ticks, fresh.control.tick = arrays["levels"], meta["control"]
        seconds, newest, behind = meta["elapsed"]
        fresh.elapsed.seconds, fresh.elapsed.behind = seconds, behind
        fresh.elapsed.newest = -np.inf if newest is None else newest
        fresh.tick = meta["tick"]
        vars(self).update(vars(fresh))
