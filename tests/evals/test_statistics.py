import itertools
import math

import numpy as np
import pytest

from evals.calibration import calibration_error
from evals.statistics import (
    area_under_risk,
    bootstrap,
    calibration_gap,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    placed,
    reliability,
    risk_coverage,
    separation,
)


@pytest.mark.parametrize(
    ("scores", "right"),
    [
        ([3, 2, 1], [False, True, True]), ([2, 2, 2, 1], [True, False, False, True]),
        ([2, 1, 1, 1], [False, True, False, True]), ([1, 1, 1, 1, 1], [False, True, True, False, False]),
    ],
)  # fmt: skip
def test_ties_count_by_expectation_over_all_orders(scores, right):
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    first = [next(place for place, which in enumerate(order, 1) if right[which]) for order in orders]
    found = placed(scores, right)
    assert found.top1 == pytest.approx(np.mean([place <= 1 for place in first]))
    assert found.top3 == pytest.approx(np.mean([place <= 3 for place in first]))
    assert found.reciprocal == pytest.approx(np.mean([1 / place for place in first]))
    assert placed([1, 2], [False, False]) == placed([], []) == (0, 0, 0)


def test_intervals_hold_the_mean_and_repeat():
    values = [1.0] * 15 + [0.0] * 5
    low, high = mean_interval(values)
    assert low < 0.75 < high
    assert (low, high) == mean_interval(values)
    assert (low, high) == pytest.approx(bootstrap([values], lambda array: array.mean()))
    all_right = mean_interval([1.0] * 10)
    assert all_right == (pytest.approx(0.025 ** (1 / 10)), 1.0), "ten of ten promise no certainty"
    assert math.isnan(bootstrap([values], lambda _: math.nan)[0])


def test_the_calibration_curve_and_its_error_agree():
    pairs = [(0.95, 1.0), (0.9, 0.0), (0.31, 0.0), (0.39, 1.0), (1.0, 1.0)]
    bins = reliability(pairs)
    assert [(one.low, one.n) for one in bins] == [(0.3, 2), (0.9, 3)]
    assert bins[1].right == pytest.approx(2 / 3)
    assert bins[1].interval[0] < 2 / 3 < bins[1].interval[1]
    error = sum(one.n * abs(one.probability - one.right) for one in bins) / len(pairs)
    arrays = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    assert calibration_error(pairs) == pytest.approx(error) == pytest.approx(calibration_gap(*arrays))


def test_risk_is_what_is_wrong_of_what_is_answered():
    points = risk_coverage([(0.9, 1.0), (0.8, 0.0), (0.8, 1.0), (0.1, 0.0)])
    assert [(p.threshold, p.coverage, p.risk) for p in points] == [
        (0.9, 0.25, 0.0), (0.8, 0.75, pytest.approx(1 / 3)), (0.1, 1.0, 0.5),
    ]  # fmt: skip
    assert area_under_risk(points) == pytest.approx(0.5 * 1 / 3 + 0.25 * 0.5)


def test_paired_tests_see_a_difference_and_none():
    assert mcnemar(0, 10) == pytest.approx(2 * 0.5**10)
    assert mcnemar(5, 5) == mcnemar(0, 0) == 1.0
    interval, p = paired_bootstrap([0.0] * 30 + [1.0] * 20)
    assert interval[0] > 0
    assert p < 0.01
    assert paired_bootstrap([1.0, -1.0] * 20)[1] > 0.5
    assert paired_bootstrap([0.0] * 5)[1] == 1.0


def test_separation_needs_both_kinds():
    assert separation([0.9, 0.1], [True, False]) == 1.0
    assert separation([0.9, 0.1], [True, True]) is None
