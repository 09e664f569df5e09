"""`suture eval detection`: anomaly scores of the deep tier for files in the format of the Numenta Anomaly Benchmark.

Format and names of results: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (ICMLA 2015),
https://github.com/numenta/NAB. All files go through one detector in lock-step, one row a tick, as series of a fleet do.
A row's score says how sure an onset at it is; labels are read only afterwards, by the scorer.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals import nab as benchmark
from models.detection.batch import Batch
from models.detection.calibration import score_of
from models.detection.deep.config import DeepConfig
from models.detection.deep.detector import DeepDetector
from models.detection.deep.kernel import ONSET, Tuning
from models.domain.errors import BadInput

HEADER = ["timestamp", "value"]
LABELS = "windows.json"
DEPLOYED = Tuning()


@dataclass(frozen=True)
class Stream:
    """One file: `values` has shape [rows]."""

    name: str
    timestamps: tuple[str, ...]
    values: NDArray[np.float64]


def run_detection(nab: Path, out: Path) -> dict[str, Any]:
    """Score `nab`/data/<category>/<file>.csv into `out`/<category>/suture_<file>.csv: {files, rows, out}.

    A result has the columns timestamp, value, anomaly_score, the last in [0, 1]. Where `nab`/windows.json labels the
    files, the benchmark's score is told too. Raises BadInput where there is no file, or one is empty or not of the
    format.
    """
    streams = read_streams(nab)
    scores = score_streams(streams)
    for stream, column in zip(streams, scores, strict=True):
        category, file = stream.name.split("/")
        write_scores(out / category / f"suture_{file}", stream, column)
    result = {"files": len(streams), "rows": sum(len(stream.values) for stream in streams), "out": str(out)}
    if (nab / LABELS).is_file():
        result |= figures(judged_streams(nab, streams), named(streams, scores))
    return result


def read_streams(nab: Path) -> list[Stream]:
    """All files. Raises BadInput."""
    paths = sorted((nab / "data").glob("*/*.csv"))
    if not paths:
        raise BadInput("it holds no data/<category>/<file>.csv", where=str(nab))
    return [read_stream(path) for path in paths]


def judged_streams(nab: Path, streams: Sequence[Stream]) -> list[benchmark.Judged]:
    """The labels of the streams; a file that the labels do not name has no window."""
    windows = benchmark.load_windows(nab / LABELS)
    return [
        benchmark.judge(one.name, [datetime.fromisoformat(at) for at in one.timestamps], windows.get(one.name, ()))
        for one in streams
    ]


def named(streams: Sequence[Stream], scores: Sequence[NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The scores by the name of their file, rounded as they are written."""
    return {stream.name: np.round(column, 6) for stream, column in zip(streams, scores, strict=True)}


def figures(files: Sequence[benchmark.Judged], scores: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """The score at the one best threshold of all files, as the benchmark tells it; and at thresholds carried over."""
    threshold = benchmark.best_threshold(files, scores)
    return {
        **benchmark.score_at(files, scores, threshold).figures(),
        "threshold": threshold,
        "carried_over": benchmark.carried_over(files, scores).figures(),
        "categories": {
            name: benchmark.score_at(own, scores, threshold).figures()
            for name, own in benchmark.by_category(files).items()
        },
    }


def read_stream(path: Path) -> Stream:
    """One file's rows. Raises BadInput with the line of the first wrong one."""
    timestamps, values = [], []
    with path.open(newline="") as file:
        reader = csv.reader(file)
        if next(reader, None) != HEADER:
            raise BadInput(f"the first line must be {','.join(HEADER)}", where=f"{path}:1")
        for row in reader:
            try:
                timestamp, value = row
                datetime.fromisoformat(timestamp)
                values.append(float(value))
            except ValueError as error:
                raise BadInput(f"not a row of timestamp,value: {error}", where=f"{path}:{reader.line_num}") from error
            timestamps.append(timestamp)
    if not values:
        raise BadInput("the file holds no row", where=str(path))
    return Stream(name=f"{path.parent.name}/{path.name}", timestamps=tuple(timestamps), values=np.array(values))


def score_streams(streams: Sequence[Stream], tuning: Tuning = DEPLOYED) -> list[NDArray[np.float64]]:
    """The detector's score of every row, shape [rows] each; 0 where there is no onset or no value."""
    detector = DeepDetector(DeepConfig(max_series=max(len(streams), 1)), tuning)
    labels = tuple({"__name__": "value", "file": stream.name} for stream in streams)
    length = max(len(stream.values) for stream in streams)
    values = np.full((length, len(streams)), np.nan)
    for column, stream in enumerate(streams):
        values[: len(stream.values), column] = stream.values
    scores = np.zeros_like(values)
    for tick in range(length):
        told = detector.assess(Batch(float(tick), labels, values[tick]))
        scores[tick, told.positions] = score_of(10.0 ** -told.said[:, ONSET])
    return [scores[: len(stream.values), column] for column, stream in enumerate(streams)]


def write_scores(path: Path, stream: Stream, scores: NDArray[np.float64]) -> None:
    """One result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*HEADER, "anomaly_score"])
        for timestamp, value, score in zip(stream.timestamps, stream.values, scores, strict=True):
            writer.writerow([timestamp, repr(float(value)), f"{score:.6f}"])
