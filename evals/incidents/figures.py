"""The figures of `suture eval incidents`: how often right, how honest the probabilities, how good the abstentions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evals import risk_control
from evals.calibration import calibration_error
from evals.incidents.answers import NOTHING, Judged
from evals.statistics import (
    RESAMPLES,
    SEED,
    area_under_risk,
    bootstrap,
    calibration_gap,
    mean_interval,
    percentile_ms,
    reliability,
    risk_coverage,
    separation,
)

KINDS = ("action", "document", "remedy")
"""The kinds of truth that name something right."""
PLACES = 4


def figures(judged: Sequence[Judged], threshold: float) -> dict[str, Any]:
    """All figures; `threshold` is the probability below which nothing is recommended."""
    able = [one for one in judged if one.kind in KINDS and one.options]
    nothing = [one for one in judged if one.kind == "nothing"]
    answered = able + nothing
    report: dict[str, Any] = {"n": len(judged), "judged": len(answered)}
    intervals: dict[str, Any] = {}
    _mean(report, intervals, "correct", [one.correct for one in answered])
    for name, get in _RANKS.items():
        _mean(report, intervals, name, [get(one) for one in able])
    report["by_kind"] = {kind: _of_kind([one for one in able if one.kind == kind]) for kind in KINDS}
    report["abstention"] = _abstention([one for one in answered if one.kind in ("action", "nothing")])
    report |= _probabilities(answered, intervals)
    report["selective"] = _selective(answered, threshold)
    report["culprit"] = _culprit(judged)
    report["confusion"] = _confusion(answered)
    report["latency"] = _latency(judged)
    report["model"] = _model(judged)
    report["intervals"] = {"level": 0.95, "method": "percentile bootstrap over incidents", "seed": SEED}
    report["intervals"] |= {"resamples": RESAMPLES, "of": intervals}
    report["notes"] = _notes(judged)
    report["rows"] = [one.row() for one in judged]
    return report


_RANKS: dict[str, Callable[[Judged], float]] = {
    "top1": lambda one: one.ranks.top1,
    "top3": lambda one: one.ranks.top3,
    "mrr": lambda one: one.ranks.reciprocal,
}


def _mean(report: dict[str, Any], intervals: dict[str, Any], name: str, values: Sequence[float]) -> None:
    report[name] = _rounded(sum(values) / len(values)) if values else None
    if values:
        intervals[name] = [_rounded(bound) for bound in mean_interval(values)]


def _of_kind(rows: Sequence[Judged]) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(rows)}
    for name, get in _RANKS.items():
        found[name] = _rounded(sum(map(get, rows)) / len(rows)) if rows else None
    return found


def _abstention(rows: Sequence[Judged]) -> dict[str, Any]:
    """How well it knows when nothing fits, over rows whose truth is an action or nothing."""
    nothing = [one for one in rows if one.kind == "nothing"]
    fits = [one for one in rows if one.kind != "nothing"]
    silent = [one for one in rows if one.abstained]
    rightly = sum(one.abstained for one in nothing)
    auroc = separation([one.probability for one in rows], [one.kind != "nothing" for one in rows])
    return {
        "nothing_fits": len(nothing),
        "recall": _share(rightly, len(nothing)),
        "something_fits": len(fits),
        "needless": _share(sum(one.abstained for one in fits), len(fits)),
        "precision": _share(rightly, len(silent)),
        "auroc": None if auroc is None else _rounded(auroc),
    }


def _probabilities(rows: Sequence[Judged], intervals: dict[str, Any]) -> dict[str, Any]:
    """What the probabilities are worth: over all options, and of the first alone."""
    promising = [one for one in rows if one.kind != "document" and one.options]
    pairs = [(option.probability, float(option.right)) for one in promising for option in one.options]
    first = [(one.probability, one.ranks.top1) for one in promising]
    if not pairs:
        return {"ece": None, "ece_top": None, "brier_top": None, "calibration": []}
    # Options of one incident belong together: incidents are drawn again, not options.
    bounds = bootstrap(
        [range(len(promising))],
        lambda drawn: calibration_gap(*_stacked([promising[int(place)] for place in drawn])),
        resamples=200,
    )
    intervals["ece"] = [_rounded(bound) for bound in bounds]
    top = bootstrap(list(zip(*first, strict=True)), calibration_gap)
    intervals["ece_top"] = [_rounded(bound) for bound in top]
    return {
        "ece": _rounded(calibration_error(pairs)),
        "ece_top": _rounded(calibration_error(first)),
        "brier_top": _rounded(sum((promised - right) ** 2 for promised, right in first) / len(first)),
        "calibration": [{**one._asdict(), "interval": list(one.interval)} for one in reliability(first)],
    }


def _stacked(rows: Sequence[Judged]) -> tuple[Any, Any]:
    options = [option for one in rows for option in one.options]
    return np.array([one.probability for one in options]), np.array([float(one.right) for one in options])


def _selective(rows: Sequence[Judged], threshold: float) -> dict[str, Any]:
    """What is gained by answering only from a probability on."""
    answers = [(one.probability, one.ranks.top1) for one in rows if one.kind != "document"]
    if not answers:
        return {
            "threshold": threshold, "coverage": None, "precision": None, "aurc": None, "curve": [], "promise": None,
        }  # fmt: skip
    curve = risk_coverage(answers)
    kept = [right for probability, right in answers if probability >= threshold]
    return {
        "threshold": threshold,
        "coverage": _share(len(kept), len(answers)),
        "precision": _rounded(sum(kept) / len(kept)) if kept else None,
        "aurc": _rounded(area_under_risk(curve)),
        "curve": [{name: _rounded(value) for name, value in point._asdict().items()} for point in curve],
        "promise": risk_control.report(answers),
    }


def _culprit(rows: Sequence[Judged]) -> dict[str, Any] | None:
    known = [one.culprit for one in rows if one.culprit is not None]
    if not known:
        return None
    return {
        "n": len(known),
        "top1": _rounded(sum(one.top1 for one in known) / len(known)),
        "top3": _rounded(sum(one.top3 for one in known) / len(known)),
    }


def _confusion(rows: Sequence[Judged]) -> list[dict[str, Any]]:
    """What was answered for what was right, by runbook, the most frequent first."""
    counted = Counter(
        (one.gold.split("/")[0], one.answer.split("/")[0])
        for one in rows
        if one.kind in ("action", "document", "nothing")
    )
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"gold": gold, "answer": given, "n": n} for (gold, given), n in ordered]


def _latency(rows: Sequence[Judged]) -> dict[str, Any]:
    seconds = [one.seconds for one in rows if one.seconds is not None]
    return {"p50_ms": percentile_ms(seconds, 0.5), "p99_ms": percentile_ms(seconds, 0.99)}


def _model(rows: Sequence[Judged]) -> dict[str, Any] | None:
    """What the language model did, cost and took; None where none is configured."""
    used = [one.model for one in rows if one.model is not None]
    if not used:
        return None
    return {
        "name": used[0].name,
        "weight": used[0].weight,
        "asked": len(used),
        "failed": sum(one.failure is not None for one in used),
        "dropped": sum(one.dropped for one in used),
        "cached": sum(one.cached for one in used),
        "prompt_tokens": sum(one.prompt_tokens for one in used),
        "completion_tokens": sum(one.completion_tokens for one in used),
        "cost_usd": sum(paid) if (paid := [one.cost for one in used if one.cost is not None]) else None,
    }


def _notes(rows: Sequence[Judged]) -> list[str]:
    notes = []
    alone = sum(one.kind == "remedy" and not one.options for one in rows)
    if alone:
        notes.append(f"{alone} not judged: theirs is the only remedy in words, so there was nothing to choose from")
    origin = sum(one.kind == "culprit" for one in rows)
    if origin:
        notes.append(f"{origin} judged by the culprit alone: their truth names neither a runbook nor a remedy")
    found = sum(one.kind == "document" for one in rows)
    if found:
        notes.append(f"{found} judged by the documents found: their runbook has no actions")
    if not any(one.gold == NOTHING for one in rows):
        notes.append("no incident says that nothing fits (gold null): how well it abstains was not measured")
    return notes


def _share(part: float, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, PLACES)
