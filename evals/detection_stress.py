"""How the deep tier does on what its settings were not chosen on: files that were changed, and healthy streams.

    python -m evals.detection_stress --nab DIR

Changed files keep their labels: with heavy-tailed noise added (three draws, for one says little), with every second row
left out, and begun late, without their first fifth. Each change is judged at its own best threshold, and at the one
that is best for the files as they are, as carried over. The healthy streams are simulated, bursty and heavy-tailed ones
among them; there every onset from that threshold on is a false alarm. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from evals import nab as benchmark
from evals.detection import LABELS, Stream, judged_streams, named, read_streams, score_streams

Floats = NDArray[np.float64]
Windows = list[tuple[datetime, datetime]]
Rows = list[tuple[int, int]]

NOISE = 0.25
"""Scale of the noise added, in standard deviations that the middle of a file's values would have as a Gaussian."""
HEALTHY_ROWS = 4000
"""Rows of a healthy stream: two weeks at one every five minutes."""
DAY = 288
"""Such rows a day."""


def stress(nab: Path, streams_each: int = 20, seed: int = 1) -> dict[str, Any]:
    """The figures. `streams_each` healthy streams of each kind are simulated. Raises BadInput."""
    random = np.random.default_rng(seed)
    streams = read_streams(nab)
    files = judged_streams(nab, streams)
    scores = named(streams, score_streams(streams))
    threshold = benchmark.best_threshold(files, scores)
    windows = benchmark.load_windows(nab / LABELS)
    return {
        "unchanged": {"threshold": threshold, **benchmark.score_at(files, scores, threshold).figures()},
        "changed": {
            name: _judge_changed([change(one, windows.get(one.name, []), random) for one in streams], threshold)
            for name, change in CHANGES.items()
        },
        "healthy": false_alarms(threshold, streams_each, random),
    }


def false_alarms(threshold: float, streams_each: int, random: np.random.Generator) -> dict[str, Any]:
    """Of each kind of healthy stream: onsets from the threshold on, per 1,000 rows after the warm-up that is judged."""
    begin = int(benchmark.PROBATION * HEALTHY_ROWS)
    found: dict[str, Any] = {}
    for name, simulate in HEALTHY.items():
        made = [Stream(f"{name}/{number}", (), simulate(random)) for number in range(streams_each)]
        onsets = [int((column[begin:] >= threshold).sum()) for column in score_streams(made)]
        found[name] = round(1000.0 * sum(onsets) / ((HEALTHY_ROWS - begin) * streams_each), 2)
    return found


def _judge_changed(changed: list[tuple[Stream, Windows]], threshold: float) -> dict[str, Any]:
    streams = [stream for stream, _ in changed]
    files = [benchmark.judge(one.name, _times(one), windows) for one, windows in changed]
    scores = named(streams, score_streams(streams))
    best = benchmark.score_at(files, scores, benchmark.best_threshold(files, scores))
    carried = benchmark.score_at(files, scores, threshold)
    return {**best.figures(), "carried_over": carried.figures()}


def with_noise(stream: Stream, windows: Windows, random: np.random.Generator) -> tuple[Stream, Windows]:
    """Noise of Student's t with 3 degrees of freedom on every value."""
    low, high = np.percentile(stream.values, [16, 84])
    scale = (high - low) / 2 or float(stream.values.std())
    noise = NOISE * scale * random.standard_t(3, len(stream.values))
    return replace(stream, values=stream.values + noise), windows


def thinned(stream: Stream, windows: Windows, random: np.random.Generator) -> tuple[Stream, Windows]:  # noqa: ARG001
    """Every second row."""
    rows = [((first + 1) // 2, last // 2) for first, last in _rows(stream, windows)]
    return _kept(stream, slice(None, None, 2), rows)


def begun_late(stream: Stream, windows: Windows, random: np.random.Generator) -> tuple[Stream, Windows]:  # noqa: ARG001
    """Without the first fifth; a window that begins there is dropped."""
    cut = len(stream.values) // 5
    rows = [(first - cut, last - cut) for first, last in _rows(stream, windows) if first >= cut]
    return _kept(stream, slice(cut, None), rows)


def _kept(stream: Stream, keep: slice, rows: Rows) -> tuple[Stream, Windows]:
    kept = Stream(stream.name, stream.timestamps[keep], stream.values[keep])
    times = _times(kept)
    return kept, [(times[first], times[last]) for first, last in rows if first <= last]


def _times(stream: Stream) -> list[datetime]:
    return [datetime.fromisoformat(at) for at in stream.timestamps]


def _rows(stream: Stream, windows: Windows) -> Rows:
    times = _times(stream)
    return [(times.index(begin), times.index(end)) for begin, end in windows]


def _season(strength: float) -> Floats:
    return 1.0 + strength * np.sin(2 * np.pi * np.arange(HEALTHY_ROWS) / DAY)


def _bursts(random: np.random.Generator) -> Floats:
    """Quiet at 1, with bursts that begin once in 50 rows, last 5 rows in the mean and are of lognormal height."""
    values = random.lognormal(0.0, 0.2, HEALTHY_ROWS)
    for begin in np.flatnonzero(random.random(HEALTHY_ROWS) < 1 / 50):
        values[begin : begin + random.geometric(1 / 5)] += random.lognormal(2.0, 1.0)
    return values


def _wandering(random: np.random.Generator) -> Floats:
    """A first-order autoregression with a memory of 200 rows."""
    values = np.zeros(HEALTHY_ROWS)
    for row, step in enumerate(random.normal(0.0, 1.0, HEALTHY_ROWS - 1), start=1):
        values[row] = (1 - 1 / 200) * values[row - 1] + step
    return values


def _counts(random: np.random.Generator) -> Floats:
    """Counts of mean 20 over a day's season, overdispersed as a negative binomial of shape 2."""
    mean = 20.0 * _season(0.6)
    return random.poisson(mean * random.gamma(2.0, 0.5, HEALTHY_ROWS)).astype(np.float64)


CHANGES: Mapping[str, Callable[[Stream, Windows, np.random.Generator], tuple[Stream, Windows]]] = {
    **{f"noise_{draw}": with_noise for draw in (1, 2, 3)},
    "thinned": thinned,
    "begun_late": begun_late,
}
HEALTHY: Mapping[str, Callable[[np.random.Generator], Floats]] = {
    "gaussian": lambda random: random.normal(10.0, 1.0, HEALTHY_ROWS),
    "season": lambda random: 10.0 * _season(0.5) + random.normal(0.0, 1.0, HEALTHY_ROWS),
    "lognormal": lambda random: random.lognormal(0.0, 1.0, HEALTHY_ROWS),
    "student_t2": lambda random: random.standard_t(2, HEALTHY_ROWS),
    "bursts": _bursts,
    "counts": _counts,
    "wandering": _wandering,
}


def main(
    nab: Annotated[Path, typer.Option(metavar="DIR", help="With data/ and windows.json.")],
    streams: Annotated[int, typer.Option(min=1, help="Healthy streams of each kind.")] = 20,
    seed: Annotated[int, typer.Option(help="Of noise and healthy streams.")] = 1,
) -> None:
    """Print how the deep tier does on changed files and on healthy streams."""
    sys.stdout.write(json.dumps(stress(nab, streams, seed), indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
