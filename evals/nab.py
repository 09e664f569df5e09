"""The score of the Numenta Anomaly Benchmark, standard profile.

Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (ICMLA 2015), and the rules of its published
scorer: the first detection in a window earns up to 1, the earlier the more, by a sigmoid; a window without one costs 1;
each detection outside costs up to 0.11, less shortly after a window; the first 15 % of a file (at most of 5,000 rows)
are not judged. 100 is a detection at every window's first row and no false alarm, 0 is saying nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import BadInput

Floats = NDArray[np.float64]

FALSE_ALARM = 0.11
"""What a false alarm costs beside a missed window, in the standard profile."""
PROBATION = 0.15
PROBATION_ROWS = 5000


@dataclass(frozen=True)
class Judged:
    """One file's labels: what a detection at each row is worth, shape [rows]."""

    name: str
    worth: Floats
    """In a window what its first detection earns, outside what a detection costs (below 0)."""
    window: NDArray[np.int64]
    """The window's number, -1 outside; -2 where nothing is judged."""

    @property
    def windows(self) -> list[int]:
        """The numbers of the windows that are judged."""
        return sorted(set(self.window[self.window >= 0].tolist()))

    @property
    def category(self) -> str:
        """The folder of the file."""
        return self.name.split("/", maxsplit=1)[0]


@dataclass(frozen=True)
class Score:
    """What detections are worth, before it is scaled."""

    total: float = 0.0
    windows: int = 0
    found: int = 0
    false_alarms: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.total + other.total,
            self.windows + other.windows,
            self.found + other.found,
            self.false_alarms + other.false_alarms,
        )

    @property
    def scaled(self) -> float:
        """From 0 (says nothing) to 100; NaN without a window."""
        return 100.0 * (self.total + self.windows) / (2.0 * self.windows) if self.windows else math.nan

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        score = round(self.scaled, 2) if self.windows else None
        return {"score": score, "windows": self.windows, "found": self.found, "false_alarms": self.false_alarms}


def load_windows(path: Path) -> dict[str, list[tuple[datetime, datetime]]]:
    """The labelled windows of each file. Raises BadInput."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: [(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in windows]
            for name, windows in held.items()
        }
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"no labelled windows can be read from it: {error}", where=str(path)) from error


def judge(name: str, times: Sequence[datetime], windows: Sequence[tuple[datetime, datetime]]) -> Judged:
    """The worth of a detection at each row. Raises BadInput where a window's ends are no rows."""
    rows = {time: row for row, time in reversed(list(enumerate(times)))}
    try:
        spans = sorted((rows[begin], rows[end]) for begin, end in windows)
    except KeyError as error:
        raise BadInput(f"a window begins or ends at {error.args[0]}, which is no row", where=name) from error
    worth = np.full(len(times), -FALSE_ALARM)
    window = np.full(len(times), -1, dtype=np.int64)
    for number, (first, last) in enumerate(spans):
        width = last - first + 1
        for row in range(first, last + 1):
            worth[row] = _sigmoid((row - last - 1) / width) / _sigmoid(-1.0)
        window[first : last + 1] = number
        until = spans[number + 1][0] if number + 1 < len(spans) else len(times)
        for row in range(last + 1, until):
            worth[row] = FALSE_ALARM * _sigmoid((row - last) / max(width - 1, 1))
    window[: math.ceil(min(math.floor(PROBATION * len(times)), PROBATION * PROBATION_ROWS))] = -2
    return Judged(name, worth, window)


def score_at(files: Sequence[Judged], scores: Mapping[str, Floats], threshold: float) -> Score:
    """The score of all files where a row is a detection from `threshold` on; `scores` by file, shape [rows] each."""
    total = Score()
    for file in files:
        total += _score_file(file, scores[file.name] >= threshold)
    return total


def best_threshold(files: Sequence[Judged], scores: Mapping[str, Floats]) -> float:
    """The threshold with the best score over all files together, as the benchmark's own optimiser looks for.

    Only thresholds that change something are tried: the values of the scores themselves.
    """
    events: list[tuple[float, float]] = []
    for file in files:
        events += _events(file, scores[file.name])
    if not events:
        return 1.0
    ordered = sorted(events, key=lambda event: -event[0])
    total, best, threshold = 0.0, -math.inf, 1.0
    for number, (value, change) in enumerate(ordered):
        total += change
        last = number + 1 == len(ordered) or ordered[number + 1][0] < value
        if last and total > best:
            best, threshold = total, value
    return threshold


def by_category(files: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The files of each folder."""
    found: dict[str, list[Judged]] = {}
    for file in files:
        found.setdefault(file.category, []).append(file)
    return found


def carried_over(files: Sequence[Judged], scores: Mapping[str, Floats]) -> Score:
    """The score where each category is judged at the threshold that is best for the others."""
    total = Score()
    for own in by_category(files).values():
        others = [file for file in files if file not in own]
        total += score_at(own, scores, best_threshold(others, scores))
    return total


def _score_file(file: Judged, detected: NDArray[np.bool_]) -> Score:
    false = detected & (file.window == -1)
    total, found = float(file.worth[false].sum()), 0
    for number in file.windows:
        rows = np.flatnonzero(detected & (file.window == number))
        found += bool(len(rows))
        total += float(file.worth[rows[0]]) if len(rows) else -1.0
    return Score(total, len(file.windows), found, int(false.sum()))


def _events(file: Judged, scores: Floats) -> list[tuple[float, float]]:
    """What changes as the threshold falls: (score, change of the total); scores of 0 are no detections."""
    outside = np.flatnonzero((file.window == -1) & (scores > 0))
    events = [(float(scores[row]), float(file.worth[row])) for row in outside]
    for number in file.windows:
        rows = np.flatnonzero((file.window == number) & (scores > 0))
        # From the last row backwards only those that come first at some threshold: higher than all before them.
        highest = np.maximum.accumulate(scores[rows]) if len(rows) else scores[rows]
        firsts = [row for at, row in enumerate(rows) if at == 0 or scores[row] > highest[at - 1]]
        before = -1.0
        for row in reversed(firsts):
            events.append((float(scores[row]), float(file.worth[row]) - before))
            before = float(file.worth[row])
    return events


def _sigmoid(position: float) -> float:
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0
