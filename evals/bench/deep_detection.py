"""The deep tier on series whose past is full."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evals.bench.figures import Figure, timed
from models.detection.batch import Batch

_SERIES, _WARM, _TICKS = 500, 1200, 100


def bench_deep_detection(folder: Path) -> list[Figure]:  # noqa: ARG001  (as every bench)
    """Samples a second of 500 series after 1,200 samples each, when their sketches are full, and bytes a series."""
    from models.detection.deep.detector import build
    from models.detection.deep.state import bytes_a_series

    random = np.random.default_rng(1)
    series = tuple({"__name__": "latency_seconds", "instance": f"shop-{number}"} for number in range(_SERIES))
    values = random.normal(10.0, 1.0, (_WARM + _TICKS, _SERIES))
    batches = [Batch(at=15.0 * tick, series=series, values=values[tick]) for tick in range(_WARM + _TICKS)]
    detector = build({})
    for batch in batches[:_WARM]:
        detector.observe(batch)
    taken = timed([lambda batch=batch: detector.observe(batch) for batch in batches[_WARM:]])  # type: ignore[misc]
    note = f"noise of {_SERIES} series, {_TICKS} ticks after {_WARM}"
    return [
        Figure("deep detector", _SERIES * _TICKS / sum(taken), "samples/s", note=note),
        Figure("deep detector's state", bytes_a_series(), "bytes/series", note="without the labels"),
    ]
