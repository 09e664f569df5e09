"""Detection on simulated requests beside the workbook's formula."""

import numpy as np
import pytest

from evals.slo.simulate import NO_GUARD, expected, objective, play, requests
from models.detection.slo.objective import SLOT

PAST = 3 * 1440


@pytest.mark.parametrize("burn", [1000.0, 100.0])
def test_a_burn_pages_when_the_workbook_says(burn):
    one = objective()
    assert max(one.windows) // SLOT == PAST
    level = np.concatenate((np.zeros(PAST), np.full(60, burn)))
    told = play(one, *requests(np.random.default_rng(1), 60_000, level, one.budget), stop_at_page=True)
    assert told.pages[0] == pytest.approx(expected(one, burn, page=True), abs=1.1)


def test_single_failures_at_low_traffic_page_nobody_because_of_the_guard():
    level = np.full(PAST + 5 * 1440, 0.5)
    total, bad = requests(np.random.default_rng(3), 10 / 60, level, 0.001)
    assert bad[PAST:].any()
    assert play(objective(low_traffic=NO_GUARD), total, bad).pages
    assert not play(objective(), total, bad).pages
