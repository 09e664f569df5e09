"""`python -m evals.fleet week`: what the detector reports of a fleet in which nothing is wrong."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.fleet.healthy import A_SERVICE, DAY_TICKS, Fleet
from evals.fleet.room import Room
from models.detection.batch import Batch
from models.detection.fdr import BatchControl
from models.detection.lockstep import LockstepDetector, build

Series = frozenset[tuple[str, str]]


class EachForItself(BatchControl):
    """Without control: each series has the whole budget of the horizon, as if there were no others."""

    def decide(self, p: NDArray[np.float64], n: int | None = None) -> NDArray[np.bool_]:  # noqa: ARG002
        """Which p-values are below the level of one test."""
        return np.asarray(p <= self.alpha / len(self.ticks))


class Watch:
    """One detector with what became of its reports."""

    def __init__(self, detector: LockstepDetector) -> None:
        self.detector = detector
        self.room = Room()
        self.begun: Counter[str] = Counter()
        """Reports that began, by metric."""
        self._before: frozenset[Series] = frozenset()

    def take(self, batch: Batch) -> None:
        """One tick."""
        anomalies = self.detector.observe(batch)
        present = {frozenset(anomaly.labels.items()): anomaly.labels["__name__"] for anomaly in anomalies}
        self.begun.update(name for series, name in present.items() if series not in self._before)
        self._before = frozenset(present)
        self.room.take(anomalies, datetime.fromtimestamp(batch.at, UTC))

    def figures(self, days: float) -> dict[str, Any]:
        """What a person would have seen, a day."""
        opening = Counter(" + ".join(sorted({str(s.metric) for s in one.signals})) for one in self.room.opened)
        return {
            "false_anomalies_a_day": sum(self.begun.values()) / days,
            "false_incidents_a_day": len(self.room.opened) / days,
            "anomalies_by_metric": dict(self.begun.most_common()),
            "incidents_by_metric": dict(opening.most_common()),
        }


def run_week(series: int, days: float, seed: int) -> dict[str, Any]:
    """Both detectors over the same ticks: {series, days, ticks, seed, with control, without control}."""
    fleet = Fleet(max(series // A_SERVICE, 1), seed)
    watches = {"with_control": Watch(build({})), "without_control": Watch(build({}))}
    alone = watches["without_control"].detector
    alone.control = EachForItself(alone.config.alpha, alone.config.horizon)
    ticks = round(days * DAY_TICKS)
    for _ in range(ticks):
        batch = fleet.next()
        for watch in watches.values():
            watch.take(batch)
    found = {name: watch.figures(days) for name, watch in watches.items()}
    return {"series": len(fleet.series), "days": days, "ticks": ticks, "seed": seed, **found}
