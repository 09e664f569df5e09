"""Error budgets and burn rates: the workbook's figures, low traffic, and what goes on without events."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from models.detection.slo.burn import Counts, budget_burned, judge
from models.detection.slo.counters import grown
from models.detection.slo.objective import Objective


def objective(**changes):
    fields = {"id": "shop", "service": "shop", "target": "99.9%", "availability": {"total": "t", "errors": "e"}}
    return Objective.model_validate(fields | changes)


def judged(one, rates, *, events=1_000_000.0, firing=frozenset()):
    """The verdict where each window has that burn rate, 0 where it is not named."""
    sums = {span: Counts(events, events * one.budget * rates.get(span, 0.0)) for span in one.windows}
    return judge(one, sums, Counts(events, 0), firing)


HOUR = timedelta(hours=1)


def test_the_workbooks_alerts_take_their_shares_of_a_budget_of_thirty_days():
    taken = [(alert.page, alert.factor * alert.long / timedelta(days=30)) for alert in objective().burn_alerts]
    near = pytest.approx
    assert taken == [(True, near(0.02)), (True, near(0.05)), (False, near(0.1)), (False, near(0.1))]


def test_windows_follow_the_objectives_window_so_that_the_shares_stay():
    one = objective(window="7d")
    for alert, share in zip(one.burn_alerts, (0.02, 0.05, 0.1, 0.1), strict=True):
        assert alert.factor * alert.long / one.window == pytest.approx(share, rel=0.02)


def test_both_windows_must_burn():
    one = objective()
    assert not judged(one, {HOUR: 20}).firing  # it is over: nobody is woken
    assert not judged(one, {timedelta(minutes=5): 20}).firing  # a blip
    page = judged(one, {HOUR: 14.4001, timedelta(minutes=5): 14.4001}).firing[0]
    assert (page.alert.page, page.alert.long) == (True, HOUR)


def test_an_outage_pages_even_where_the_budget_is_large():
    one = objective(target=0.9)
    everything = judged(one, dict.fromkeys(one.windows, 10.0))
    assert all(state.firing for state in everything.alerts)


def test_too_few_events_are_no_evidence_but_are_told():
    one = objective()
    sums = dict.fromkeys(one.windows, Counts(10, 2))
    verdict = judge(one, sums, Counts(10, 2))
    assert not verdict.firing
    assert all(state.too_few for state in verdict.alerts)
    assert judge(one, dict.fromkeys(one.windows, Counts(20, 3)), Counts(20, 3)).firing


def test_what_fires_goes_on_while_the_short_window_has_no_events():
    one = objective()
    sums = {span: Counts(1000, 500) for span in one.windows} | {timedelta(minutes=5): Counts(0, 0)}
    assert not judge(one, sums, Counts(0, 0)).alerts[0].firing
    assert judge(one, sums, Counts(0, 0), {0}).alerts[0].firing
    better = sums | {timedelta(minutes=5): Counts(1, 0)}
    assert not judge(one, better, Counts(0, 0), {0}).alerts[0].firing


def test_what_is_left_and_for_how_long():
    one = objective()
    sums = dict.fromkeys(one.windows, Counts(0, 0)) | {HOUR: Counts(1000, 10)}
    verdict = judge(one, sums, Counts(1e6, 250))
    assert verdict.budget_left == pytest.approx(0.75)
    assert verdict.exhausted_in / timedelta(days=30) == pytest.approx(0.075)  # at ten times the sustainable rate
    assert judge(one, dict.fromkeys(one.windows, Counts(0, 0)), Counts(0, 0)).budget_left is None
    assert budget_burned(Counts(1000, 100), Counts(1e6, 250), one.budget) == pytest.approx(0.1)


def test_counters_that_fall_were_reset_and_new_ones_are_only_read():
    a, b, c = (frozenset({("pod", name)}) for name in "abc")
    assert grown({a: 10, b: 100}, {a: 15, b: 7, c: 1_000_000}) == 5 + 7


@pytest.mark.parametrize(
    "changes",
    [
        {"target": 99.9}, {"target": "100%"}, {"availability": None}, {"latency": {"histogram": "h", "threshold": 1}},
        {"availability": {"total": "t"}}, {"window": "30m"}, {"id": "Shop Availability"}, {"windows": "3d"},
        {"alerts": [{"factor": 2000, "long": "1h", "short": "5m", "page": True}]},
        {"alerts": [{"factor": 2, "long": "5m", "short": "1h", "page": True}]},
        {"alerts": [{"factor": 2, "long": "1h", "short": "90s", "page": True}]},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(changes):
    with pytest.raises(ValidationError):
        objective(**changes)
