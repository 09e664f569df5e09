"""What telemetry looks like on a bad day: nothing raises, nothing healthy is reported, what is wrong still is."""

import dataclasses

import numpy as np
import pytest

from models.detection.batch import Batch
from models.detection.layouts import KEPT
from models.detection.lockstep import build

YEAR = 365 * 86400.0


def names(anomalies):
    return {anomaly.labels["__name__"] for anomaly in anomalies}


def assert_same(left, right):
    for field in dataclasses.fields(left):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


@pytest.fixture
def steady():
    """A gauge, a counter and a state, tick by tick; `shift` departs from the gauge's level."""

    class Steady:
        series = ({"__name__": "level"}, {"__name__": "requests_total"}, {"__name__": "up"})

        def __init__(self):
            self.random, self.total = np.random.default_rng(5), 0.0

        def next(self, at, shift=0.0):
            self.total += self.random.poisson(60)
            return Batch(at, self.series, np.array([50 + shift + self.random.normal(), self.total, 1.0]))

    return Steady()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200, -1e308])
def test_a_value_that_is_none_is_like_no_sample(fleet, bad):
    simulated, one, other = fleet(3, 2), build({}), build({})
    for tick in range(80):
        batch = simulated.next()
        out = np.random.default_rng(tick).random(len(batch.values)) < 0.2
        values = np.where(out, bad, batch.values)
        left = one.assess(dataclasses.replace(batch, values=values))
        missing = dataclasses.replace(batch, values=np.where(out, np.nan, batch.values))
        assert_same(left, other.assess(missing))
        assert np.isfinite(left.p_values).all()
        assert np.isfinite(left.upper).all()


def test_of_a_series_that_stands_twice_in_a_batch_the_last_sample_counts(steady):
    one, other = build({}), build({})
    for tick in range(60):
        batch = steady.next(float(tick))
        twice = Batch(batch.at, (batch.series[0], *batch.series), np.append(1e6, batch.values))
        left, right = one.assess(twice), other.assess(batch)
        np.testing.assert_array_equal(left.p_values, right.p_values)
    assert len(left.p_values) == 3


def test_a_clock_that_is_set_back_is_followed_after_thirty_samples(steady):
    detector, found = build({}), []
    for tick in range(60):
        found += detector.observe(steady.next(1e9 + tick))
    for tick in range(60):
        found += detector.observe(steady.next(1e9 - 7200 + tick))
    assert found == []
    assert [bool(detector.observe(steady.next(1e9 - 7140 + tick, shift=20.0))) for tick in range(3)][-1]


def test_samples_that_come_late_change_nothing(steady):
    one, other = build({}), build({})
    late = [steady.next(float(tick), shift=99.0) for tick in range(20)]
    for tick in range(60):
        batch = steady.next(100.0 + tick)
        assert_same(one.assess(batch), other.assess(batch))
        for past in late:
            assert one.observe(past) == []


def test_a_clock_that_jumps_ahead_and_back_is_survived(steady):
    detector, found = build({}), []
    times = [*np.arange(60.0), *(YEAR + np.arange(60.0)), *(60.0 + np.arange(60.0))]
    for at in times:
        found += detector.observe(steady.next(float(at)))
    assert found == []
    assert [bool(detector.observe(steady.next(120.0 + tick, shift=20.0))) for tick in range(3)][-1]


def test_one_wrong_clock_does_not_make_other_series_forgotten(steady):
    detector = build({"forget_after": "60s"})
    wrong = ({"__name__": "elsewhere"},)
    for tick in range(600):
        detector.observe(steady.next(float(tick)))
        if tick % 50 == 0:
            detector.observe(Batch(YEAR + tick, wrong, np.ones(1)))
    assert detector.series == 4


def test_counters_that_all_start_again_are_no_anomaly(fleet):
    simulated, detector, found = fleet(5, 3), build({}), []
    for tick in range(120):
        if tick in (60, 90):
            for total in (simulated.requests, simulated.rare, simulated.seconds, simulated.cpu):
                total[:] = 0.0
        found += detector.observe(simulated.next())
    assert found == []


def test_labels_that_explode_stay_within_the_cap_and_the_known_series_are_scored(steady):
    detector = build({"max_series": 50, "forget_after": "60s"})
    for tick in range(100):
        steadily = steady.next(float(tick))
        new = tuple({"__name__": "g", "request": f"{tick}-{i}"} for i in range(20))
        batch = Batch(steadily.at, (*steadily.series, *new), np.append(steadily.values, np.ones(20)))
        assert detector.observe(batch) == []
        assert detector.series <= 50
    assert detector.refused == 20
    assert detector.refused_total == 100 * 20 - 47
    assert len(detector.table.rows) <= 2 * 256
    assert sum(len(kept.series) for kept in detector.layouts._kept) <= 100
    batch = Batch(100.0, batch.series, np.append(steady.next(100.0, shift=30.0).values, np.ones(20)))
    detector.observe(batch)
    assert names(detector.observe(dataclasses.replace(batch, at=101.0))) == {"level"}


def test_constant_series_are_never_an_anomaly_and_empty_ones_leave():
    detector = build({})
    constants = [0.0, 1.0, -3.5, 1e12, 1e-12, 1e149]
    series = tuple({"__name__": "g", "i": str(i)} for i in range(len(constants) + 1))
    for tick in range(300):
        assert detector.observe(Batch(float(tick), series, np.array([*constants, np.nan]))) == []
        assert detector.observe(Batch(float(tick), (), np.empty(0))) == []
    # Rows are tidied up every 256 ticks; the empty series comes again with its batch, without a number.
    assert detector.series <= len(constants) + 1
    assert np.isfinite(detector.table["last_at"][: len(constants)]).all()


def test_series_that_come_and_go_keep_their_past(steady):
    detector, found = build({}), []
    for tick in range(300):
        batch = steady.next(float(tick))
        here = [0, 2] if tick // 15 % 2 else [0, 1, 2]
        found += detector.observe(Batch(batch.at, tuple(batch.series[i] for i in here), batch.values[here]))
    assert found == []
    assert detector.series == 3
    assert detector.table["seen"][: detector.series].min() > 100


def test_batches_that_alternate_are_laid_out_once():
    detector = build({})
    sources = [tuple({"__name__": "g", "source": str(s), "i": str(i)} for i in range(3)) for s in range(KEPT)]
    laid_out = [detector.layouts.of(series, 0)[0] for series in sources]
    for tick in range(1, 4):
        again = [detector.layouts.of(series, tick)[0] for series in sources]
        assert all(one is other for one, other in zip(laid_out, again, strict=True))
    equal = tuple(dict(labels) for labels in sources[0])
    assert detector.layouts.of(equal, 5)[0] is laid_out[0]


def test_a_counter_that_is_born_is_seen_when_batches_alternate():
    detector, random, total = build({}), np.random.default_rng(1), 0.0
    logs = ({"__name__": "log_lines_total", "service": "shop"},)
    known, born = {"__name__": "requests_total", "code": "200"}, {"__name__": "requests_total", "code": "500"}
    found = []
    for tick in range(70):
        total += random.poisson(50)
        series, values = ((known,), [total]) if tick < 60 else ((known, born), [total, 40.0 * (tick - 59)])
        found += detector.observe(Batch(float(tick), series, np.array(values)))
        found += detector.observe(Batch(tick + 0.5, logs, np.array([3.0 * tick])))
    assert {anomaly.labels["code"] for anomaly in found} == {"500"}


def test_a_batch_with_too_few_values_is_refused_and_changes_nothing(steady):
    detector = build({})
    detector.observe(steady.next(1.0))
    before = detector.dump()
    with pytest.raises(ValueError, match="3 series has values of shape"):
        detector.observe(Batch(2.0, steady.series, np.ones(2)))
    assert detector.dump() == before
