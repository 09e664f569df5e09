"""Statistics of evaluations: intervals, calibration, risk and coverage, and the comparison of two runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 20260131
RESAMPLES = 2000
LEVEL = 0.95
BINS = 10


class Ranks(NamedTuple):
    """Where the right ones came, in expectation over the orders of equal scores."""

    top1: float
    top3: float
    reciprocal: float


class Bin(NamedTuple):
    """Answers of about the same probability: what was promised and what came of it."""

    low: float
    high: float
    n: int
    probability: float
    """Mean of what was promised."""
    right: float
    """Share that was right."""
    interval: tuple[float, float]
    """Of that share: 95 %, Wilson."""


class Covered(NamedTuple):
    """What answering only from a probability on would give."""

    threshold: float
    coverage: float
    risk: float
    """Share of the answers given that are wrong."""


def placed(scores: Sequence[float], right: Sequence[bool]) -> Ranks:
    """The place of the first right one among scores, higher first; several may be right, none gives zeros."""
    ahead, best = 0, max((score for score, good in zip(scores, right, strict=True) if good), default=None)
    if best is None:
        return Ranks(0.0, 0.0, 0.0)
    ahead = sum(score > best for score in scores)
    tied = sum(score == best for score in scores)
    good = sum(score == best and yes for score, yes in zip(scores, right, strict=True))
    # Of `tied` in random order, `good` are right: the chance that none is among the first k of them.
    missed = [math.comb(tied - good, k) / math.comb(tied, k) for k in range(tied + 1)]
    reciprocal = sum((missed[k - 1] - missed[k]) / (ahead + k) for k in range(1, tied + 1))
    within = [1 - missed[min(max(depth - ahead, 0), tied)] for depth in (1, 3)]
    return Ranks(within[0], within[1], reciprocal)


def bootstrap(
    columns: Sequence[Sequence[float]],
    statistic: Callable[..., float],
    *,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic over rows that are drawn again with replacement.

    `columns` hold one value a row each; the statistic takes them as arrays. A resample for which it is not defined
    (NaN) is left out. Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    arrays = [np.asarray(column, dtype=float) for column in columns]
    picks = _picks(len(arrays[0]), seed, resamples)
    found = np.array([statistic(*(array[pick] for array in arrays)) for pick in picks])
    found = found[~np.isnan(found)]
    if not len(found):
        return math.nan, math.nan
    return _percentiles(found)


def mean_interval(values: Sequence[float], *, seed: int = SEED, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a mean of values in [0, 1].

    Where all are 0, or all 1, every resample is the same, which would promise certainty: the exact interval of a
    proportion is given there (Clopper and Pearson 1934).
    """
    if set(values) <= {0.0} or set(values) <= {1.0}:
        from scipy.stats import binomtest

        exact = binomtest(int(sum(values)), len(values)).proportion_ci(LEVEL, "exact")
        return float(exact.low), float(exact.high)
    array = np.asarray(values, dtype=float)
    return _percentiles(array[_picks(len(array), seed, resamples)].mean(axis=1))


def reliability(pairs: Sequence[tuple[float, float]], bins: int = BINS) -> list[Bin]:
    """The calibration curve of (probability, right in [0, 1]) pairs over bins of equal width; empty bins are left out.

    The interval is Wilson's (1927), which stays within [0, 1] for few answers.
    """
    from scipy.stats import binomtest

    held: dict[int, list[tuple[float, float]]] = {}
    for probability, right in pairs:
        held.setdefault(min(int(probability * bins), bins - 1), []).append((probability, right))
    found = []
    for number, inside in sorted(held.items()):
        n, right = len(inside), sum(truth for _, truth in inside)
        interval = binomtest(round(right), n).proportion_ci(LEVEL, "wilson")
        promised = sum(probability for probability, _ in inside) / n
        bounds = (float(interval.low), float(interval.high))
        found.append(Bin(number / bins, (number + 1) / bins, n, promised, right / n, bounds))
    return found


def calibration_gap(probabilities: NDArray[np.float64], truths: NDArray[np.float64]) -> float:
    """The expected calibration error over ten bins, as `evals.calibration.calibration_error` has it, of arrays."""
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = np.bincount(places, weights=probabilities - truths, minlength=BINS)
    return float(np.abs(gaps).sum() / len(probabilities))


def risk_coverage(answers: Sequence[tuple[float, float]]) -> list[Covered]:
    """Risk against coverage for (probability, right) answers, one point for each different probability, highest first.

    El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 11 (2010).
    """
    points: list[Covered] = []
    ordered = sorted(answers, reverse=True)
    wrong = 0.0
    for number, (probability, right) in enumerate(ordered, 1):
        wrong += 1 - right
        if number == len(ordered) or ordered[number][0] != probability:
            points.append(Covered(probability, number / len(ordered), wrong / number))
    return points


def area_under_risk(points: Sequence[Covered]) -> float:
    """The mean risk over all coverages, lower is better: Geifman, Uziel, El-Yaniv, ICLR 2019 (AURC)."""
    area, before = 0.0, 0.0
    for point in points:
        area += (point.coverage - before) * point.risk
        before = point.coverage
    return area


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided exact p-value that two runs are right equally often, from the rows where one alone was.

    McNemar, Psychometrika 12 (1947), in its exact form: a sign test of the rows on which they differ.
    """
    from scipy.stats import binomtest

    differing = only_first + only_second
    return float(binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0


def paired_bootstrap(
    differences: Sequence[float], *, seed: int = SEED, resamples: int = RESAMPLES
) -> tuple[tuple[float, float], float]:
    """The 95 % percentile interval of a mean difference over rows, and a two-sided p-value that it is 0.

    The p-value is twice the share of resamples on the far side of 0, one counted in so that it is never 0.
    Efron and Tibshirani (1993), chapters 13 and 15.
    """
    array = np.asarray(differences, dtype=float)
    means = array[_picks(len(array), seed, resamples)].mean(axis=1)
    below, above = int((means <= 0).sum()), int((means >= 0).sum())
    return _percentiles(means), min(1.0, 2 * (min(below, above) + 1) / (resamples + 1))


def separation(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """The area under the ROC curve: how often a positive scores above a negative. None without one of each."""
    if len(set(positive)) < 2:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(list(positive), list(scores)))


def percentile_ms(seconds: Sequence[float], share: float) -> float:
    """The percentile of durations, in milliseconds."""
    return round(float(np.quantile(np.asarray(seconds), share)) * 1000, 2)


def _picks(n: int, seed: int, resamples: int) -> Any:
    return np.random.default_rng(seed).integers(0, n, size=(resamples, n))


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
