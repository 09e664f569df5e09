"""`suture eval detection`: anomaly scores of the detector for files in the format of the Numenta Anomaly Benchmark.

Format and names of results: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (ICMLA 2015),
https://github.com/numenta/NAB. All files go through one detector in lock-step, one row a tick, as series of a fleet do;
the sampling intervals differ, and the detector counts in ticks. Labels are never read.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detection.batch import Batch
from models.detection.lockstep import build
from models.domain.errors import BadInput

HEADER = ["timestamp", "value"]
SETTINGS: dict[str, Any] = {"floor": 0.0, "floor_share": 0.01, "adapt_after": 10}
"""The files are in no base units, which the floors of the deployed detector assume; and at a sample every five minutes
a departure is an hour old after ten ticks, where the deployed detector's scrape of a second has ten seconds."""
SILENT = 400
"""A score stands only where it exceeds those of so many rows before: the benchmark rewards the first word, and counts
every further one outside its windows as a false alarm."""


@dataclass(frozen=True)
class Stream:
    """One file: `values` has shape [rows]."""

    name: str
    timestamps: tuple[str, ...]
    values: NDArray[np.float64]


def run_detection(nab: Path, out: Path) -> dict[str, Any]:
    """Score `nab`/data/<category>/<file>.csv into `out`/<category>/suture_<file>.csv: {files, rows, out}.

    A result has the columns timestamp, value, anomaly_score, the last in [0, 1]. Raises BadInput where there is no
    file, or one is empty or not of the format.
    """
    paths = sorted((nab / "data").glob("*/*.csv"))
    if not paths:
        raise BadInput("it holds no data/<category>/<file>.csv", where=str(nab))
    streams = [read_stream(path) for path in paths]
    scores = score_streams(streams)
    for path, stream, column in zip(paths, streams, scores, strict=True):
        write_scores(out / path.parent.name / f"suture_{path.name}", stream, onsets(column))
    return {"files": len(streams), "rows": sum(len(stream.values) for stream in streams), "out": str(out)}


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


def score_streams(streams: Sequence[Stream]) -> list[NDArray[np.float64]]:
    """The detector's score of every row, shape [rows] each; 0 in the warm-up and where a value is missing."""
    detector = build(SETTINGS)
    labels = tuple({"__name__": "value", "file": stream.name} for stream in streams)
    length = max(len(stream.values) for stream in streams)
    values = np.full((length, len(streams)), np.nan)
    for column, stream in enumerate(streams):
        values[: len(stream.values), column] = stream.values
    scores = np.zeros_like(values)
    for tick in range(length):
        found = detector.assess(Batch(float(tick), labels, values[tick]))
        scores[tick, found.positions] = found.scores
    return [scores[: len(stream.values), column] for column, stream in enumerate(streams)]


def onsets(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores that exceed all of the SILENT rows before them, 0 elsewhere, shape [rows]."""
    padded = np.concatenate([np.zeros(SILENT), scores])
    before = np.lib.stride_tricks.sliding_window_view(padded[:-1], SILENT).max(axis=1)
    return np.where(scores > before, scores, 0.0)


def write_scores(path: Path, stream: Stream, scores: NDArray[np.float64]) -> None:
    """One result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*HEADER, "anomaly_score"])
        for timestamp, value, score in zip(stream.timestamps, stream.values, scores, strict=True):
            writer.writerow([timestamp, repr(float(value)), f"{score:.6f}"])
