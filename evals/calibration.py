"""Figures of ranked, probabilistic answers: ties by expectation, calibration error, selective precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

BINS = 10
THRESHOLDS = tuple(step / 10 for step in range(10))


class Placed(NamedTuple):
    """Where the right answer came, in expectation over the orders of equal scores."""

    top1: float
    """Probability that it is first."""
    reciprocal_rank: float


class Selective(NamedTuple):
    """What is gained by not answering below a threshold."""

    threshold: float
    coverage: float
    precision: float | None
    """None where nothing is answered."""


def place(scores: Mapping[str, float], gold: str) -> Placed:
    """The place of `gold` among the scores, higher first."""
    above = sum(score > scores[gold] for score in scores.values())
    tied = sum(score == scores[gold] for score in scores.values())
    ranks = range(above + 1, above + tied + 1)
    return Placed(top1=1 / tied if above == 0 else 0.0, reciprocal_rank=sum(1 / rank for rank in ranks) / tied)


def calibration_error(pairs: Sequence[tuple[float, float]]) -> float:
    """Expected calibration error of (probability, truth in [0, 1]) pairs over ten bins of equal width.

    Naeini, Cooper, Hauskrecht 2015, Obtaining well calibrated probabilities using Bayesian binning.
    """
    bins: dict[int, list[tuple[float, float]]] = {}
    for probability, truth in pairs:
        bins.setdefault(min(int(probability * BINS), BINS - 1), []).append((probability, truth))
    gaps = (abs(sum(probability - truth for probability, truth in held)) for held in bins.values())
    return sum(gaps) / len(pairs) if pairs else 0.0


def selective(answers: Sequence[tuple[float, float]]) -> list[Selective]:
    """For each threshold: the share of (top probability, right in [0, 1]) answers that reach it, how right they are."""
    found: list[Selective] = []
    for threshold in THRESHOLDS:
        kept = [right for probability, right in answers if probability >= threshold]
        found.append(
            Selective(
                threshold=threshold,
                coverage=len(kept) / len(answers) if answers else 0.0,
                precision=sum(kept) / len(kept) if kept else None,
            )
        )
    return found
