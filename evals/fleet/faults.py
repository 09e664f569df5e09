"""`python -m evals.fleet faults`: how many injected faults the detector finds, and after how many ticks."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from evals.fleet.healthy import Fleet
from evals.fleet.injected import KINDS, Fault, Injector, draw_faults
from models.detection.lockstep import build

RATIOS = ("cache_usage_ratio", "cpu_usage_ratio")
GAUGES = (*RATIOS, "probe_latency_seconds")
"""What faults are put into: Gaussian noise, noise correlated in time, heavy tails."""


def run_faults(count: int, seed: int) -> dict[str, Any]:
    """{faults, found, seed, series, kinds: {kind: {faults, found, median_delay, worst_delay}}}.

    Delays are in ticks: 1 where the first faulty sample is reported.
    """
    fleet, random = Fleet(count, seed), np.random.default_rng([seed, 1])
    places: dict[str, list[list[int]]] = {name: [] for name in GAUGES}
    for place, labels in enumerate(fleet.series):
        if labels["__name__"] in places:
            own = places[labels["__name__"]]
            own.append([]) if labels["part"] == "0" else None
            own[-1].append(place)
    gauges = np.concatenate([np.array(places[name], dtype=np.intp) for name in GAUGES], axis=1)
    ratios = sum(len(places[name][0]) for name in RATIOS)
    faults = draw_faults(gauges, ratios, count, random)
    delays = _play(fleet, faults, random)
    kinds = {kind: _summary([delay for fault, delay in delays if fault.kind == kind]) for kind in KINDS}
    found = sum(delay is not None for _, delay in delays)
    return {"faults": count, "found": found, "seed": seed, "series": len(fleet.series), "kinds": kinds}


def _play(fleet: Fleet, faults: list[Fault], random: np.random.Generator) -> list[tuple[Fault, int | None]]:
    """The delay of each fault's first report, None where there is none."""
    injector, detector = Injector(faults, random), build({})
    first: dict[int, int] = {}
    owner = {place: number for number, fault in enumerate(faults) for place in fault.series}
    before: set[int] = set()
    for tick in range(max(fault.ends for fault in faults)):
        batch = fleet.next()
        injector.apply(batch.values, tick)
        found = detector.assess(batch)
        reported = set(found.positions[found.reported].tolist())
        for place in reported - before:
            number = owner.get(place, -1)
            # What was reported when the fault began is no report of it.
            if number >= 0 and faults[number].begins <= tick < faults[number].ends:
                first.setdefault(number, tick - faults[number].begins + 1)
        before = reported
    return [(fault, first.get(number)) for number, fault in enumerate(faults)]


def _summary(delays: list[int | None]) -> dict[str, Any]:
    found = [delay for delay in delays if delay is not None]
    return {
        "faults": len(delays),
        "found": len(found),
        "median_delay": median(found) if found else None,
        "worst_delay": max(found, default=None),
    }
