"""`suture eval compare`: two runs over the same rows, by tests of pairs.

Of top-1 an exact McNemar test; of every other figure a paired bootstrap (`evals/statistics.py` names the sources). Two
runs over the same rows are compared row by row: that is why a small difference can be told from chance here where the
intervals of the two runs overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.statistics import mcnemar, paired_bootstrap
from models.domain.errors import BadInput
from service.json_input import parse_json

_FIGURES = ("top1", "top3", "reciprocal_rank", "correct")
_SURE = 0.05


@dataclass(frozen=True)
class Run:
    """One run's rows by id: the figures of each, and what identifies the row beside its id."""

    path: Path
    suite: str
    rows: Mapping[str, Mapping[str, float]]
    truths: Mapping[str, str]


def read_run(path: Path) -> Run:
    """What a command of `suture eval` printed with --json. Raises BadInput for anything else."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInput("is not UTF-8 text", where=str(path)) from error
    value = parse_json(text, where=str(path))
    rows = value.get("rows") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not rows:
        raise BadInput("has no rows; save what `suture eval SUITE … --json` prints", where=str(path))
    for suite, (identify, read) in _READERS.items():
        try:
            found = {str(identify(row)): read(row) for row in rows}
        except (KeyError, TypeError, AttributeError):
            continue
        truths = {str(identify(row)): str(row.get("digest") or row.get("gold") or "") for row in rows}
        return Run(path, suite, found, truths)
    raise BadInput(
        "its rows are of no suite that can be compared (incidents, ranking, retrieval, culprit)", where=str(path)
    )


def compare_runs(first: Run, second: Run) -> dict[str, Any]:
    """Every figure that both runs have, with the difference, its interval and its p-value.

    Raises BadInput where they are of different suites, or over different rows.
    """
    _require_same_rows(first, second)
    names = list(first.rows)
    figures = []
    for figure in _FIGURES:
        if not all(figure in run.rows[name] for run in (first, second) for name in names):
            continue
        ours = [first.rows[name][figure] for name in names]
        theirs = [second.rows[name][figure] for name in names]
        figures.append(_compared(figure, ours, theirs))
    return {
        "suite": first.suite,
        "first": str(first.path),
        "second": str(second.path),
        "n": len(names),
        "figures": figures,
        "summary": _summary(figures, len(names)),
    }


def _compared(figure: str, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    differences = [b - a for a, b in zip(ours, theirs, strict=True)]
    interval, p_value = paired_bootstrap(differences)
    told: dict[str, Any] = {
        "figure": figure,
        "first": sum(ours) / len(ours),
        "second": sum(theirs) / len(theirs),
        "difference": sum(differences) / len(differences),
        "interval": list(interval),
        "test": "paired bootstrap",
        "p_value": p_value,
    }
    if figure == "top1":
        # What is first only in some orders of equal scores is not surely right.
        pairs = [(a >= 1, b >= 1) for a, b in zip(ours, theirs, strict=True)]
        lost, won = pairs.count((True, False)), pairs.count((False, True))
        told |= {"test": "exact McNemar", "p_value": mcnemar(lost, won), "only_first": lost, "only_second": won}
    return told


def _summary(figures: list[dict[str, Any]], n: int) -> str:
    first = figures[0]
    rows = f"top-1 over {n} rows: B alone is right on {first['only_second']}, A alone on {first['only_first']}"
    if first["p_value"] >= _SURE:
        return f"{rows}; so much comes about by chance (p = {first['p_value']:.2g}): no difference is shown"
    better = "B" if first["difference"] > 0 else "A"
    return f"{rows}; {better} is better, and chance alone would seldom do that (p = {first['p_value']:.2g})"


def _require_same_rows(first: Run, second: Run) -> None:
    if first.suite != second.suite:
        raise BadInput(f"A is a run of {first.suite}, B of {second.suite}", where=str(second.path))
    only_first, only_second = first.rows.keys() - second.rows.keys(), second.rows.keys() - first.rows.keys()
    if only_first or only_second:
        missing = [
            f"{min(ids)!r} stands only in {name}" for ids, name in ((only_first, "A"), (only_second, "B")) if ids
        ]
        raise BadInput(f"the runs are over different rows: {', '.join(missing)}", where=str(second.path))
    changed = [name for name, truth in first.truths.items() if second.truths[name] != truth]
    if changed:
        words = f"the runs are over different rows: {changed[0]!r} is not the same in both"
        raise BadInput(words, where=str(second.path))


def _ranked(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of `suture eval retrieval`: the right document's place among those that are named."""
    gold, ranked = row["gold"], list(row["ranked"])
    place = ranked.index(gold) + 1 if gold in ranked else None
    return {
        "top1": float(place == 1),
        "top3": float(place is not None and place <= 3),
        "reciprocal_rank": 1 / place if place else 0.0,
    }


def _told(*names: str, **renamed: str) -> Callable[[Mapping[str, Any]], dict[str, float]]:
    wanted = {name: name for name in names} | renamed
    return lambda row: {ours: float(row[theirs]) for ours, theirs in wanted.items()}


_READERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], dict[str, float]]]] = {
    "incidents": (lambda row: (row["id"], row["kind"])[0], _told("top1", "top3", "reciprocal_rank", "correct")),
    "culprit": (lambda row: row["issue"], _told(top1="hit1", top3="hit3")),
    "ranking": (lambda row: row["id"], _told("top1", "reciprocal_rank")),
    "retrieval": (lambda row: row["id"], _ranked),
}
