"""The detector on many series."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evals.bench.figures import Figure, timed
from models.detection.batch import Batch

_SERIES, _WARM, _TICKS = 10_000, 30, 30
_INTERVAL = 15.0


def bench_detection(folder: Path) -> list[Figure]:  # noqa: ARG001  (as every bench)
    """Samples a second of 10,000 series that are the same at every tick, as in steady work."""
    from models.detection.lockstep import build

    random = np.random.default_rng(1)
    series = tuple({"__name__": "latency_seconds", "instance": f"shop-{number}"} for number in range(_SERIES))
    values = random.normal(10.0, 1.0, (_WARM + _TICKS, _SERIES))
    batches = [Batch(at=_INTERVAL * tick, series=series, values=values[tick]) for tick in range(_WARM + _TICKS)]
    detector = build({})
    for batch in batches[:_WARM]:
        detector.observe(batch)
    taken = timed([lambda batch=batch: detector.observe(batch) for batch in batches[_WARM:]])  # type: ignore[misc]
    note = f"noise of {_SERIES:,} series, {_TICKS} ticks after {_WARM}"
    return [Figure("detector", _SERIES * _TICKS / sum(taken), "samples/s", note=note)]
