"""Simple methods that localisation must beat, of our own making: each gives nodes scores, the highest first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evals.culprits.cases import Case
from models.localisation.excess import rank_by_excess
from models.localisation.harms import harms_of
from models.localisation.measures import Row

Method = Callable[[Case], dict[str, float]]


def z_score(case: Case) -> dict[str, float]:
    """The node that departs most, in normal standard deviations of the target's metric."""
    return {name: departure for name in case.around if (departure := _departure(case, name)) > 0}


def correlation(case: Case) -> dict[str, float]:
    """The node whose series follows the target's most closely (Pearson), over normal times and the incident."""
    target = _whole(case, case.target)
    return {name: _alike(_whole(case, name), target) for name in case.around if name != case.target}


def traversal(case: Case) -> dict[str, float]:
    """From the target through callees that depart by 3 deviations, to those of which no callee does."""
    reached, frontier = {case.target}, [case.target]
    while frontier:
        frontier = [
            callee
            for name in frontier
            for callee in case.calls.get(name, ())
            if callee not in reached and _departure(case, callee) > 3
        ]
        reached.update(frontier)
    return {
        name: 1.0
        for name in reached
        if not any(callee in reached and callee != name for callee in case.calls.get(name, ()))
    }


def random_walk(case: Case) -> dict[str, float]:
    """Where a walker often is that steps to callees, back or stays, drawn by correlation with the target.

    MonitorRank: Kim et al., "Root cause detection in a service-oriented architecture" (SIGMETRICS 2013).
    The walker goes back with a weight of 0.1 and starts anew with probability 0.15.
    """
    names = list(dict.fromkeys([*case.calls, *case.around]))
    place = {name: number for number, name in enumerate(names)}
    target = _whole(case, case.target)
    likeness = np.array([_alike(_whole(case, name), target) for name in names]) + 1e-6
    steps = np.diag(likeness)
    for caller, callees in case.calls.items():
        for callee in callees:
            steps[place[caller], place[callee]] = likeness[place[callee]]
            steps[place[callee], place[caller]] = 0.1 * likeness[place[caller]]
    steps /= steps.sum(axis=1, keepdims=True)
    start = np.eye(len(names))[place[case.target]]
    at = start
    for _ in range(100):
        at = 0.85 * at @ steps + 0.15 * start
    return {name: float(at[place[name]]) for name in names if name != case.target}


def excess(case: Case) -> dict[str, float]:
    """The rule of `models/localisation/excess.py` alone, in the target's metric."""
    harms = harms_of(case.normal, case.around)
    own = {name: harm.excess[case.measure] for name, harm in harms.items() if case.measure in harm.excess}
    return dict(rank_by_excess(own, case.calls, case.target))


BASELINES: dict[str, Method] = {
    "z-score": z_score,
    "correlation": correlation,
    "traversal": traversal,
    "random walk": random_walk,
    "excess": excess,
}


def _departure(case: Case, name: str) -> float:
    before = case.normal[name].of(case.measure) if name in case.normal else None
    now = case.around[name].of(case.measure) if name in case.around else None
    if before is None or now is None or np.isfinite(before).sum() < 2 or not np.isfinite(now).any():
        return 0.0
    # The floor that PetShop's authors' methods lack: availability often has no variance at all.
    return float((np.nanmean(now) - np.nanmean(before)) / max(float(np.nanstd(before)), 1e-6))


def _whole(case: Case, name: str) -> Row | None:
    if name not in case.around:
        return None
    before, now = case.normal[name].of(case.measure), case.around[name].of(case.measure)
    return None if before is None or now is None else np.concatenate([before, now])


def _alike(one: Row | None, other: Row | None) -> float:
    if one is None or other is None:
        return 0.0
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3 or not one[both].std() or not other[both].std():
        return 0.0
    return float(abs(np.corrcoef(one[both], other[both])[0, 1]))
