"""Figures and how they are taken."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles


@dataclass(frozen=True)
class Figure:
    """One measured number. `peer` is what it stands beside: the same work without Suture, of the same run."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the peer's."""
        return self.value / self.peer if self.peer else None


Bench = Callable[[Path], list[Figure]]
"""Measures in an empty folder of its own."""


def timed(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The wall time of each call, in seconds."""
    taken = []
    for call in calls:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def percentiles(name: str, seconds: Sequence[float], peer: Sequence[float] = (), note: str = "") -> list[Figure]:
    """The median and the 99th percentile in milliseconds; of few values the latter is about the largest."""

    def at(values: Sequence[float], percent: int) -> float | None:
        return quantiles(values, n=100, method="inclusive")[percent - 1] * 1000 if len(values) > 1 else None

    return [
        Figure(f"{name}, p{percent}", at(seconds, percent) or 0.0, "ms", at(peer, percent), own)
        for percent, own in ((50, note), (99, ""))
    ]


def machine() -> dict[str, str | int | float]:
    """The machine's size, and how busy it was: figures of a loaded machine say little."""
    return {
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_1min": round(os.getloadavg()[0], 1),
    }
