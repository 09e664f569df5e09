"""What may differ in other recordings of the same kinds of faults: each a change of one issue, by chance.

None of them looks at the label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from evals.culprits.petshop import Issue
from models.localisation.measures import NodeSeries, Row

Change = Callable[[np.random.Generator, Issue], Issue]
Cells = Callable[[Row], Row]


def _each(issue: Issue, *, normal: Cells | None = None, around: Cells | None = None) -> Issue:
    """The issue with every series changed."""

    def changed(nodes: Mapping[str, NodeSeries], cells: Cells | None) -> Mapping[str, NodeSeries]:
        return nodes if cells is None else {name: _cells(one, cells) for name, one in nodes.items()}

    return replace(issue, normal=changed(issue.normal, normal), around=changed(issue.around, around))


def _cells(one: NodeSeries, cells: Cells) -> NodeSeries:
    parts = {name: getattr(one, name) for name in ("requests", "latency", "failed")}
    return NodeSeries(**{name: None if row is None else cells(row) for name, row in parts.items()})


def shuffled(rng: np.random.Generator, issue: Issue) -> Issue:
    """The nodes and their callees in another order."""

    def mixed(nodes: Mapping[str, NodeSeries]) -> Mapping[str, NodeSeries]:
        return {name: nodes[name] for name in rng.permutation(list(nodes))}

    calls = {str(name): tuple(map(str, rng.permutation(issue.calls[name]))) for name in rng.permutation([*issue.calls])}
    return replace(issue, normal=mixed(issue.normal), around=mixed(issue.around), calls=calls)


def without_row(rng: np.random.Generator, issue: Issue) -> Issue:
    """One of the windows around the issue is lost (jackknife)."""
    lost = int(rng.integers(0, len(next(iter(issue.around.values())).requests)))  # type: ignore[arg-type]
    return _each(issue, around=lambda row: np.delete(row, lost))


def gaps(rng: np.random.Generator, issue: Issue) -> Issue:
    """A fifth of all values is missing."""

    def holes(row: Row) -> Row:
        return np.where(rng.random(len(row)) < 0.2, np.nan, row)

    return _each(issue, normal=holes, around=holes)


def noisy(rng: np.random.Generator, issue: Issue) -> Issue:
    """Every value off by 15 %."""

    def shaken(row: Row) -> Row:
        return row * np.exp(rng.normal(0, 0.15, len(row)))

    return _each(issue, normal=shaken, around=shaken)


def short(rng: np.random.Generator, issue: Issue) -> Issue:
    """Two hours of normal times, any, in place of two days."""
    length = len(next(iter(issue.normal.values())).requests)  # type: ignore[arg-type]
    start = int(rng.integers(0, max(length - 24, 1)))
    return _each(issue, normal=lambda row: row[start : start + 24])


def resampled(rng: np.random.Generator, issue: Issue) -> Issue:
    """Normal times drawn anew, with replacement."""
    length = len(next(iter(issue.normal.values())).requests)  # type: ignore[arg-type]
    chosen = rng.integers(0, length, length)
    return _each(issue, normal=lambda row: row[chosen])


def columns_lost(rng: np.random.Generator, issue: Issue) -> Issue:
    """A tenth of the columns is not measured, of any node but the target, the origin's own among them."""

    def less(name: str, one: NodeSeries) -> NodeSeries:
        if name == issue.target:
            return one
        parts = {part: getattr(one, part) for part in ("requests", "latency", "failed")}
        return NodeSeries(**{part: row if rng.random() >= 0.1 else None for part, row in parts.items()})

    return replace(issue, around={name: less(name, one) for name, one in issue.around.items()})


def fresh_columns(rng: np.random.Generator, issue: Issue) -> Issue:
    """A tenth of the nodes that the target does not call at all were not there in normal times."""
    spared = {issue.target, *_below(issue)}
    kept = {name: one for name, one in issue.normal.items() if name in spared or rng.random() >= 0.5}
    return replace(issue, normal=kept)


def never_failed(rng: np.random.Generator, issue: Issue) -> Issue:  # noqa: ARG001  (the same signature for all)
    """No request failed in normal times: the variance is zero."""

    def usual(name: str) -> float:
        before = issue.normal.get(name, NodeSeries()).failed
        return 0.0 if before is None or not np.isfinite(before).any() else float(np.nanmean(before))

    def clean(name: str, one: NodeSeries) -> NodeSeries:
        return replace(one, failed=None if one.failed is None else np.maximum(one.failed - usual(name), 0.0))

    def none_failed(one: NodeSeries) -> NodeSeries:
        return replace(one, failed=None if one.failed is None else np.where(np.isnan(one.failed), np.nan, 0.0))

    return replace(
        issue,
        normal={name: none_failed(one) for name, one in issue.normal.items()},
        around={name: clean(name, one) for name, one in issue.around.items()},
    )


def weaker(rng: np.random.Generator, issue: Issue) -> Issue:  # noqa: ARG001
    """The departures half as large."""

    def half(name: str, one: NodeSeries) -> NodeSeries:
        before = issue.normal.get(name, NodeSeries())
        return replace(one, latency=_between(before.latency, one.latency), failed=_between(before.failed, one.failed))

    return replace(issue, around={name: half(name, one) for name, one in issue.around.items()})


def busier(rng: np.random.Generator, issue: Issue) -> Issue:  # noqa: ARG001
    """Ten times the requests, then and now."""

    def more(nodes: Mapping[str, NodeSeries]) -> Mapping[str, NodeSeries]:
        return {
            name: replace(one, requests=None if one.requests is None else one.requests * 10)
            for name, one in nodes.items()
        }

    return replace(issue, normal=more(issue.normal), around=more(issue.around))


def growing(rng: np.random.Generator, issue: Issue) -> Issue:
    """Since normal times the requests doubled, and every node's latency grew by up to a fifth, each by its own."""

    def grown(one: NodeSeries) -> NodeSeries:
        factor = float(rng.uniform(1.0, 1.2))
        return replace(
            one,
            requests=None if one.requests is None else one.requests * 2,
            latency=None if one.latency is None else one.latency * factor,
        )

    return replace(issue, around={name: grown(one) for name, one in issue.around.items()})


def _between(before: Row | None, now: Row | None) -> Row | None:
    if before is None or now is None or not np.isfinite(before).any():
        return now
    usual = float(np.nanmean(before))
    return usual + 0.5 * (now - usual)


def _below(issue: Issue) -> set[str]:
    found: set[str] = set()
    frontier = [issue.target]
    while frontier:
        frontier = [one for name in frontier for one in issue.calls.get(name, ()) if one not in found]
        found.update(frontier)
    return found


@dataclass(frozen=True)
class Perturbation:
    """One kind of change, with the name that stands in the report."""

    name: str
    change: Change


PERTURBATIONS = tuple(
    Perturbation(name, change)
    for name, change in (
        ("order of columns", shuffled),
        ("a window lost", without_row),
        ("a fifth of values missing", gaps),
        ("noise of 15 %", noisy),
        ("normal period of two hours", short),
        ("normal period drawn anew", resampled),
        ("a tenth of columns lost", columns_lost),
        ("half of the other nodes new", fresh_columns),
        ("never failed before", never_failed),
        ("fault half as strong", weaker),
        ("ten times the traffic", busier),
        ("grown since normal times", growing),
    )
)
