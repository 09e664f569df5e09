"""The fast tier of the detector on many series, beside detectors that take one series at a time."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.bench.figures import Figure
from models.detection.batch import Batch

_SERIES, _WARM, _TICKS = 10_000, 60, 300
_INTERVAL = 15.0
_FEW = 3_000
"""Samples for a peer: enough for its windows to be full."""
_WINDOW = 250

_NOTES = {"IsolationForest": f"; scikit-learn's, fitted on each window of {_WINDOW}"}

Step = Callable[[float], object]


def bench_detection(folder: Path) -> list[Figure]:  # noqa: ARG001  (as every bench)
    """Samples a second of processor time, all in this run; a peer's ratio is how many times faster the detector is."""
    own = _lockstep()
    stream = np.random.default_rng(2).normal(10.0, 1.0, _FEW)
    figures = [
        Figure("detector, fast tier", own, "samples/s", note=f"{_SERIES:,} series, {_TICKS} ticks after {_WARM}"),
        Figure("state of the detector", _state_bytes(), "bytes/series", note="arrays; labels apart"),
        Figure("labels of a series", _label_bytes(), "bytes/series", note="two labels, as Python holds them"),
    ]
    for name, make in _peers().items():
        speed = _speed(make(), stream)
        figures.append(
            Figure(
                f"detector over {name}", own, "samples/s", peer=speed, note=f"peer: one series{_NOTES.get(name, '')}"
            )
        )
    return figures


def _batches(ticks: int) -> list[Batch]:
    random = np.random.default_rng(1)
    series = tuple({"__name__": "latency_seconds", "instance": f"shop-{number}"} for number in range(_SERIES))
    values = random.normal(10.0, 1.0, (ticks, _SERIES))
    # One series in a thousand departs for good, so that reports and their explanations are part of the work.
    values[ticks // 2 :, ::1000] += 20.0
    return [Batch(at=_INTERVAL * tick, series=series, values=values[tick]) for tick in range(ticks)]


def _lockstep() -> float:
    from models.detection.lockstep import build

    batches, detector = _batches(_WARM + _TICKS), build({})
    for batch in batches[:_WARM]:
        detector.observe(batch)
    return _rate(_SERIES * _TICKS, (lambda batch=batch: detector.observe(batch) for batch in batches[_WARM:]))  # type: ignore[misc]


def _state_bytes() -> float:
    from models.detection.state import MARK, ROW

    # Its record and work space: a mark, a place and a score; and three positions in the layout of its batch.
    return float(ROW.itemsize + MARK.itemsize + 5 * 8)


def _label_bytes() -> float:
    from models.detection.state import SeriesTable

    tracemalloc.start()
    table = SeriesTable()
    for labels in _batches(1)[0].series:
        table.add(labels)
    held = tracemalloc.get_traced_memory()[0] - table.rows.nbytes
    tracemalloc.stop()
    return held / _SERIES


def _rate(samples: int, calls: Iterable[Callable[[], object]]) -> float:
    start = time.process_time()
    for call in calls:
        call()
    return samples / (time.process_time() - start)


def _speed(step: Step, stream: NDArray[np.float64]) -> float:
    for value in stream[: _FEW // 3]:
        step(float(value))
    rest = stream[_FEW // 3 :]
    return _rate(len(rest), (lambda value=float(value): step(value) for value in rest))  # type: ignore[misc]


def _peers() -> dict[str, Callable[[], Step]]:
    peers = {"a windowed gaussian": _gaussian, "IsolationForest": _forest}
    try:
        import pysad  # noqa: F401  # type: ignore[import-untyped, unused-ignore]
        import river  # noqa: F401
    except ImportError as error:
        print(f"detection: without {error.name}, which the dev extra brings", file=sys.stderr)
        return peers
    return {"river's HalfSpaceTrees": _half_space_trees, "pysad's RSHash": _rs_hash, "pysad's LODA": _loda, **peers}


def _half_space_trees() -> Step:
    from river.anomaly import HalfSpaceTrees

    model: Any = HalfSpaceTrees(seed=1, limits={"x": (0.0, 20.0)})

    def step(value: float) -> object:
        row = {"x": value}
        score = model.score_one(row)
        model.learn_one(row)
        return score

    return step


def _rs_hash() -> Step:
    from pysad.models import RSHash

    make: Any = RSHash
    return _pysad(make(feature_mins=np.zeros(1), feature_maxes=np.full(1, 20.0)))


def _loda() -> Step:
    from pysad.models import LODA

    make: Any = LODA
    return _pysad(make())


def _pysad(model: Any) -> Step:
    return lambda value: model.fit_score_partial(np.array([value]))


def _forest() -> Step:
    """Fitted anew on the last window at each full one; in between it scores one sample at a time."""
    from sklearn.ensemble import IsolationForest

    held: list[float] = []
    model = IsolationForest(n_estimators=100, random_state=1)

    def step(value: float) -> object:
        held.append(value)
        if len(held) % _WINDOW == 0:
            model.fit(np.array(held[-_WINDOW:])[:, None])
        return model.score_samples(np.array([[value]])) if len(held) >= _WINDOW else None

    return step


def _gaussian() -> Step:
    """The tail probability under the mean and deviation of the last window."""
    from math import erfc, sqrt

    held: deque[float] = deque(maxlen=_WINDOW)
    sums = [0.0, 0.0]

    def step(value: float) -> object:
        gone = held[0] if len(held) == _WINDOW else 0.0
        count = len(held) or 1
        mean = sums[0] / count
        deviation = sqrt(max(sums[1] / count - mean * mean, 1e-12))
        held.append(value)
        sums[0] += value - gone
        sums[1] += value * value - gone * gone
        return 1.0 - 0.5 * erfc(abs(value - mean) / (deviation * sqrt(2.0)))

    return step
