"""A threshold is promised only where enough answers bear it out."""

from __future__ import annotations

import random

import pytest

from evals.risk_control import CONFIDENCE, GRID, TARGET, at, controlled, needed, observed


def test_forty_four_right_answers_promise_nothing_and_forty_five_do():
    assert needed() == 45
    assert controlled([(0.97, 1.0)] * 44) is None
    held = controlled([(0.97, 1.0)] * 45)
    assert held is not None
    assert (held.threshold, held.coverage, held.precision) == (0.0, 1.0, 1.0)
    assert held.lower_bound >= TARGET


def test_the_lowest_threshold_is_above_where_answers_go_wrong():
    answers = [(0.92, 1.0)] * 60 + [(0.5, 0.0)] * 20
    held = controlled(answers)
    assert held is not None
    assert held.threshold == pytest.approx(0.55)
    assert held.coverage == pytest.approx(0.75)


def test_a_failure_ends_the_sequence_even_where_lower_thresholds_would_pass():
    answers = [(0.97, 0.0)] * 2 + [(0.5, 1.0)] * 400
    assert at(0.5, answers).lower_bound >= TARGET
    assert controlled(answers) is None


def test_a_tie_does_not_count_as_right_in_the_bound():
    assert controlled([(0.9, 0.5)] * 200) is None


def test_what_was_observed_is_told_apart_from_what_is_promised():
    answers = [(0.9, 1.0)] * 7 + [(0.4, 0.0)] * 8
    assert controlled(answers) is None
    seen = observed(answers)
    assert seen is not None
    assert (seen.threshold, seen.precision) == (0.9, 1.0)
    assert seen.lower_bound < TARGET
    assert observed([]) is None


def test_the_promise_is_broken_no_more_often_than_it_says():
    """Answers whose precision is just below the target at every threshold: any promise is a broken one."""
    draw = random.Random(7)
    broken = 0
    for _ in range(300):
        answers = [(draw.choice(GRID), float(draw.random() < TARGET - 0.001)) for _ in range(120)]
        broken += controlled(answers) is not None
    assert broken / 300 <= 1 - CONFIDENCE + 0.04
