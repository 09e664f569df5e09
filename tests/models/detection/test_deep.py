import numpy as np
import pytest

from models.correlation.signals import signal_of
from models.detection.batch import Batch
from models.detection.deep.detector import build
from models.detection.deep.kernel import ONSET
from models.detection.deep.state import CAPACITY, bytes_a_series
from models.detection.lockstep import build as build_fast
from models.domain.errors import BadInput

SERIES = tuple({"__name__": "latency_seconds", "instance": str(number)} for number in range(4))


def batches(values, series=SERIES, begin=0.0):
    return [Batch(begin + 15.0 * tick, series, np.asarray(row, dtype=float)) for tick, row in enumerate(values)]


@pytest.fixture
def noise():
    return np.random.default_rng(7).normal(10.0, 1.0, (1500, 4))


def test_a_shift_is_reported_while_it_lasts_and_explains_itself(noise):
    detector = build({})
    noise[1000:1050, 2] += 40.0
    found = {tick: detector.observe(batch) for tick, batch in enumerate(batches(noise))}
    assert not any(found[tick] for tick in range(1000))
    (anomaly,) = found[1000]
    assert anomaly.labels == SERIES[2]
    assert (anomaly.direction, anomaly.component) == ("up", "value")
    assert anomaly.observed == pytest.approx(noise[1000, 2])
    assert anomaly.lower <= anomaly.expected <= anomaly.upper < anomaly.observed
    assert anomaly.p_value < 1e-6
    assert "(value)" in signal_of(anomaly).text
    assert all(found[tick] for tick in range(1000, 1050))
    assert not any(found[tick] for tick in range(1060, 1500))


def test_what_was_there_before_is_not_new(noise):
    detector = build({})
    for begin in (600, 1000):
        noise[begin : begin + 5, 1] = 90.0
    told = [detector.assess(batch).said[1, ONSET] for batch in batches(noise)]
    assert told[600] > 5
    assert max(told[1000:1005]) < 3


def test_a_restart_forgets_nothing(noise):
    noise[700, 0] = 60.0
    whole, first = build({}), build({})
    said = [whole.observe(batch) for batch in batches(noise)]
    before = [first.observe(batch) for batch in batches(noise)[:640]]
    second = build({})
    second.restore(first.dump())
    assert before + [second.observe(batch) for batch in batches(noise)[640:]] == said
    assert second.dump() == whole.dump()
    with pytest.raises(ValueError, match="another detector"):
        second.restore(build_fast({}).dump())


def test_wrong_numbers_and_clocks_change_nothing_else(noise):
    calm, hurt = build({}), build({})
    clean, dirty = batches(noise[:400]), []
    for batch in batches(noise[:400]):
        dirty.append(batch)
        dirty.append(Batch(batch.at, SERIES, np.full(4, 1e9)))  # the same time again
        dirty.append(Batch(batch.at - 1000.0, SERIES, np.full(4, 1e9)))  # a clock that went back
        dirty.append(Batch(batch.at + 1.0, SERIES, np.array([np.nan, np.inf, -np.inf, np.nan])))
    for batch in clean:
        calm.observe(batch)
    for batch in dirty:
        hurt.observe(batch)
    for field in ("past", "distances", "window", "seen", "recent"):
        np.testing.assert_array_equal(calm.state[field][:4], hurt.state[field][:4])


def test_counters_are_told_by_their_rate_and_a_reset_has_none():
    detector = build({})
    series = ({"__name__": "requests_total"},)
    random = np.random.default_rng(1)
    total = np.cumsum(random.poisson(300, 900)).astype(float)
    total[500:] -= total[500] - 3.0
    found = [detector.observe(batch) for batch in batches(total[:, None], series)]
    assert not any(found)
    assert detector.state["past"][0, 0, 0] == pytest.approx(20.0, rel=0.3)  # 300 in 15 seconds


def test_series_beyond_the_cap_are_refused_and_those_that_went_make_room():
    detector = build({"max_series": 2, "forget_after": "1h"})
    detector.observe(Batch(0.0, SERIES, np.ones(4)))
    assert (len(detector.state), detector.refused) == (2, 2)
    for tick in range(300):
        detector.observe(Batch(5000.0 + tick, SERIES[2:], np.ones(2)))
    assert [labels["instance"] for labels in detector.state.labels] == ["2", "3"]


def test_memory_is_bounded_and_a_constant_series_is_never_new():
    detector = build({})
    random = np.random.default_rng(2)
    for tick in range(3 * CAPACITY):
        detector.observe(Batch(float(tick), SERIES[:2], np.array([random.lognormal(0.0, 3.0), 5.0])))
    assert detector.state["held"][0].max() <= CAPACITY
    assert detector.state["kept"][0, :, 1].tolist() == [4, 4, 4, 4]
    past = detector.state["past"][0, 0, : detector.state["held"][0, 0]]
    assert (np.diff(past) > 0).all()
    assert detector.state["burden"][1, 0] == 0
    assert bytes_a_series() < 70_000


def test_wrong_settings_are_named():
    with pytest.raises(BadInput, match="there is no setting 'warmup'; there are alpha"):
        build({"warmup": 3})
