"""From which probability on answers may be trusted: abstention with a bound on how often an answer is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

TARGET = 0.95
CONFIDENCE = 0.90
GRID = tuple(step / 20 for step in range(19, -1, -1))
"""Thresholds in the order of testing, fixed before any answer is seen: 0.95 down to 0 in steps of 0.05."""


class Held(NamedTuple):
    """What answering from a threshold on gives."""

    threshold: float
    coverage: float
    """The share of incidents that is answered."""
    precision: float | None
    """The share of answers that is right; None where nothing is answered."""
    lower_bound: float
    """One-sided lower bound of the precision at that threshold alone, with CONFIDENCE (Clopper and Pearson 1934)."""


def at(threshold: float, answers: Sequence[tuple[float, float]], confidence: float = CONFIDENCE) -> Held:
    """What answering from `threshold` on gives; `answers` are (top probability, right in [0, 1]) pairs.

    An answer that is right only by expectation (a tie) counts as wrong in the bound.
    """
    kept = [right for probability, right in answers if probability >= threshold]
    return Held(
        threshold=threshold,
        coverage=len(kept) / len(answers) if answers else 0.0,
        precision=sum(kept) / len(kept) if kept else None,
        lower_bound=_lower_bound(sum(right >= 1.0 for right in kept), len(kept), confidence),
    )


def controlled(
    answers: Sequence[tuple[float, float]], target: float = TARGET, confidence: float = CONFIDENCE
) -> Held | None:
    """The lowest threshold at which the precision is at least `target`, with `confidence`; None where there is none.

    Learn then test (Angelopoulos, Bates, Candès, Jordan, Lei 2021, https://arxiv.org/abs/2110.01052, section 2.3):
    fixed-sequence testing from the strictest threshold of GRID down, each by the exact binomial bound, until the first
    that fails. Because the sequence is fixed, no correction for the number of tests is needed. Valid for incidents
    drawn as these were, none of which had a part in the weights. Thresholds above every answer are passed over.
    """
    best: Held | None = None
    for threshold in GRID:
        held = at(threshold, answers, confidence)
        if held.precision is None:
            continue
        if held.lower_bound < target:
            break
        best = held
    return best


def needed(target: float = TARGET, confidence: float = CONFIDENCE) -> int:
    """How many answers, all of them right, the bound asks for at least: 45 for 0.95 with a confidence of 0.90."""
    return math.ceil(math.log(1 - confidence) / math.log(target))


def observed(answers: Sequence[tuple[float, float]], target: float = TARGET) -> Held | None:
    """The widest coverage at which the precision was `target` or more on these very answers: no promise for others."""
    reached = [at(threshold, answers) for threshold in sorted({probability for probability, _ in answers})]
    return next((held for held in reached if held.precision is not None and held.precision >= target), None)


def report(answers: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Both thresholds, and what they rest on, for the JSON of a suite."""
    sure, seen = controlled(answers), observed(answers)
    return {
        "target": TARGET,
        "confidence": CONFIDENCE,
        "bound": "Clopper-Pearson, fixed-sequence testing (learn then test)",
        "answers_needed": needed(),
        "guaranteed": sure._asdict() if sure else None,
        "observed": seen._asdict() if seen else None,
    }


def _lower_bound(right: int, total: int, confidence: float) -> float:
    from scipy.stats import beta

    return float(beta.ppf(1 - confidence, right, total - right + 1)) if right else 0.0
