"""The bounds that autonomy is earned by: what they ask, and how often they are passed by chance."""

import numpy as np
import pytest

from evals.autonomy import ever_promoted
from service.guard.record import SuccessRecord

BAR = 0.8


@pytest.mark.parametrize(
    ("successes", "total", "wanted"), [(0, 0, 20), (9, 9, 11), (14, 14, 6), (19, 19, 1), (20, 20, 0), (29, 30, 1)]
)
def test_how_many_successes_in_a_row_are_missing(successes, total, wanted):
    record = SuccessRecord(successes, total)
    assert record.wanted(BAR) == wanted
    assert record.reaches(BAR) is (wanted == 0)
    enough = SuccessRecord(successes + wanted, total + wanted)
    assert min(enough.lower_bound, enough.sequential_bound) >= BAR


def test_a_failure_costs_more_than_one_success():
    assert SuccessRecord(0, 1).wanted(BAR) > SuccessRecord(0, 0).wanted(BAR) + 1


@pytest.mark.parametrize(("successes", "total"), [(1, 1), (9, 10), (20, 20), (500, 600)])
def test_the_bound_over_all_looks_is_where_the_evidence_ends(successes, total):
    record = SuccessRecord(successes, total)
    assert 0 < record.sequential_bound < record.lower_bound
    assert record.evidence_above(record.sequential_bound - 1e-6) > np.log(20)
    assert record.evidence_above(record.sequential_bound + 1e-6) < np.log(20)


def test_the_evidence_is_a_fair_bet_where_the_rate_is_the_bar():
    """The mean over the next trial is what it is now: nothing is won by looking again."""
    for successes, total in ((0, 0), (7, 9), (20, 25)):
        now = SuccessRecord(successes, total).evidence_above(BAR)
        well = SuccessRecord(successes + 1, total + 1).evidence_above(BAR)
        badly = SuccessRecord(successes, total + 1).evidence_above(BAR)
        assert BAR * np.exp(well) + (1 - BAR) * np.exp(badly) == pytest.approx(np.exp(now))


def test_what_is_below_the_bar_is_seldom_promoted_however_often_one_looks():
    assert ever_promoted(0.75, BAR, 100) < 0.01
    assert ever_promoted(0.8, BAR, 1000) < 0.05
    assert ever_promoted(0.99, BAR, 100) > 0.99


def test_clopper_and_pearson_alone_would_be_passed_by_chance_too_often():
    assert ever_promoted(0.8, BAR, 100, passes=lambda record: record.lower_bound >= BAR) > 0.15


def test_the_exact_probability_is_what_a_simulation_finds():
    drawn = np.random.default_rng(1).random((20_000, 60)) < 0.9
    totals = np.arange(1, 61)
    least = np.array([next(s for s in range(n + 2) if s > n or SuccessRecord(s, n).reaches(BAR)) for n in totals])
    found = (drawn.cumsum(axis=1) >= least).any(axis=1).mean()
    exact = ever_promoted(0.9, BAR, 60)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))
