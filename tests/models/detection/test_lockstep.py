import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest

from models.detection.batch import Batch
from models.detection.lockstep import build
from models.domain.errors import BadInput


def observe_fault(fleet, name, change, *, seed=1, interval=1.0, ticks=3):
    """Anomalies of the faulty series in the ticks after 60 healthy ones; `change(value, tick)` makes the fault."""
    detector = build({})
    series = fleet.index(name, 3)
    for _ in range(60):
        detector.observe(fleet.next())
    found = []
    for tick in range(ticks):
        batch = fleet.next()
        values = batch.values.copy()
        values[series] = change(values[series], tick)
        anomalies = detector.observe(dataclasses.replace(batch, values=values))
        found += [anomaly for anomaly in anomalies if anomaly.labels == fleet.series[series]]
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_healthy_minutes_over_300_series_are_quiet(fleet, seed):
    simulated, detector, before, begun = fleet(23, seed), build({}), set(), 0
    assert len(simulated.series) > 300
    for _ in range(630):
        now = {frozenset(anomaly.labels.items()) for anomaly in detector.observe(simulated.next())}
        begun += len(now - before)
        before = now
    assert begun <= 2  # seed 2: one burst of traffic, seen as requests_total and as _count


@pytest.mark.parametrize("interval", [0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "change", "direction"),
    [
        pytest.param("up", lambda v, t: 0.0, "down", id="state falls"),
        pytest.param("level", lambda v, t: v * 3, "up", id="spike"),
        pytest.param("level", lambda v, t: v * 1.5, "up", id="level shift"),
        pytest.param("level", lambda v, t: 0.0, "down", id="drop to zero"),
        pytest.param("pool_in_use", lambda v, t: 10.0, "up", id="saturation"),
        pytest.param("process_open_fds", lambda v, t: v * 4, "up", id="leak"),
        pytest.param("probe_seconds", lambda v, t: v * 30, "up", id="slow"),
        pytest.param("rare_events_total", lambda v, t: v + 30 * (t + 1), "up", id="rate rises"),
    ],
)
def test_fault_is_found_within_three_ticks(fleet, name, change, direction, seed, interval):
    found = observe_fault(fleet(23, seed, interval), name, change)
    assert found
    first = found[0]
    assert first.direction == direction
    assert not first.lower <= first.observed <= first.upper
    assert first.lower <= first.expected <= first.upper
    assert first.p_value < 1e-6
    assert 0.5 < first.score <= 1


@pytest.mark.parametrize("interval", [0.5, 1.0])
def test_rate_collapse_is_found_within_three_ticks(fleet, interval):
    simulated = fleet(23, 1, interval)
    simulated.rates[3] = 60.0
    detector = build({})
    for _ in range(60):
        detector.observe(simulated.next())
    factor = np.ones(23)
    factor[3] = 0.0
    found = [a for _ in range(3) for a in detector.observe(simulated.next(factor))]
    assert {(a.labels["__name__"], a.labels["instance"], a.direction) for a in found} == {
        ("requests_total", "3", "down"),
        ("request_seconds_count", "3", "down"),
    }
    assert found[-1].observed == 0
    assert found[-1].expected == pytest.approx(60, rel=0.25)


def test_anomaly_is_reported_while_it_lasts_and_ends_with_it(fleet):
    simulated, detector = fleet(10, 5), build({})
    series = simulated.index("level", 3)
    for _ in range(60):
        detector.observe(simulated.next())

    def ticks(count, factor):
        reports = []
        for _ in range(count):
            batch = simulated.next()
            batch.values[series] *= factor
            reports.append(any(a.labels == simulated.series[series] for a in detector.observe(batch)))
        return reports

    assert sum(ticks(200, 2.0)) >= 197
    assert not any(ticks(50, 1.0)[2:])
    assert any(ticks(3, 2.0))


def test_lasting_level_becomes_normal_and_a_state_does_not():
    detector = build({"adapt_after": 50})
    series = ({"__name__": "level"}, {"__name__": "up"})
    random = np.random.default_rng(3)
    reports = []
    for tick in range(300):
        level, state = (10.0, 1.0) if tick < 100 else (30.0, 0.0)
        values = np.array([level + random.normal(0, 0.2), state])
        reports.append({a.labels["__name__"] for a in detector.observe(Batch(float(tick), series, values))})
    assert all("level" in report for report in reports[103:140])
    assert not any("level" in report for report in reports[160:])
    assert all("up" in report for report in reports[103:])


def test_restart_forgets_nothing(fleet):
    simulated, one, other = fleet(60, 7), build({}), build({})
    born = {"__name__": "requests_total", "instance": "2", "code": "500"}
    series = simulated.index("level", 2)
    for tick in range(200):
        batch = simulated.next()
        if tick >= 120:
            batch.values[series] *= 1.5
        if tick >= 150:  # a counter that is born right after a restart
            values = np.append(batch.values, 30.0 * (tick - 149))
            batch = Batch(batch.at, (*batch.series, born), values)
        if tick % 37 == 36 or tick in (121, 150):
            fresh = build({})
            fresh.restore(other.dump())
            other = fresh
        left, right = one.assess(batch), other.assess(batch)
        for field in dataclasses.fields(left):
            np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))
    assert one.dump() == other.dump()


@pytest.mark.parametrize("state", [b"", b"nonsense", b"PK\x05\x06" + bytes(18)])
def test_foreign_state_is_refused(state):
    with pytest.raises(ValueError, match="state"):
        build({}).restore(state)


def test_nan_infinity_gaps_duplicates_and_old_times_are_survived(fleet):
    simulated, detector = fleet(10, 9), build({})
    random = np.random.default_rng(1)
    begun = 0
    for tick in range(300):
        batch = simulated.next()
        values = batch.values
        values[random.random(len(values)) < 0.1] = np.nan
        values[random.random(len(values)) < 0.01] = np.inf
        keep = np.flatnonzero(random.random(len(values)) < 0.9) if tick % 5 == 0 else np.arange(len(values))
        batch = Batch(batch.at, tuple(batch.series[i] for i in keep), values[keep])
        begun += len(detector.observe(batch))
        assert detector.observe(batch) == []
        assert detector.observe(dataclasses.replace(batch, at=batch.at - 50)) == []
    assert begun <= 6
    assert detector.observe(Batch(0.0, (), np.empty(0))) == []
    twice = ({"__name__": "a"}, {"__name__": "a"})
    detector.observe(Batch(2e9, twice, np.array([1.0, 2.0])))


def test_counter_reset_is_no_anomaly():
    detector = build({})
    random = np.random.default_rng(2)
    series = ({"__name__": "requests_total"},)
    total, found = 0.0, []
    for tick in range(200):
        total = 0.0 if tick == 100 else total + random.poisson(50)
        found += detector.observe(Batch(float(tick), series, np.array([total])))
    assert found == []


def test_error_counter_that_is_born_in_the_fault_counts_from_zero():
    detector = build({})
    random = np.random.default_rng(2)
    labels = {"__name__": "requests_total", "service": "shop"}
    total, errors, found = 0.0, 0.0, []
    for tick in range(70):
        total += random.poisson(50)
        series, values = ({**labels, "code": "200"},), [total]
        if tick >= 60:
            errors += random.poisson(40)
            series, values = (*series, {**labels, "code": "500"}), [total, errors]
        found += [(tick, a) for a in detector.observe(Batch(float(tick), series, np.array(values)))]
    tick, first = found[0]
    assert tick <= 62
    assert (first.labels["code"], first.direction, first.expected) == ("500", "up", 0.0)


def test_sum_is_scored_as_the_mean_of_its_events():
    detector = build({})
    random = np.random.default_rng(4)
    series = ({"__name__": "request_seconds_sum"}, {"__name__": "request_seconds_count"})
    seconds = count = 0.0
    found = []
    for tick in range(120):
        arrivals = random.poisson(40 if tick % 2 else 60)
        count += arrivals
        seconds += random.gamma(arrivals * 4, (0.01 if tick < 100 else 0.1) / 4)
        found += detector.observe(Batch(float(tick), series, np.array([seconds, count])))
    assert {a.labels["__name__"] for a in found} == {"request_seconds_sum"}
    assert found[0].at >= datetime.fromtimestamp(100, UTC)
    assert found[0].expected == pytest.approx(0.01, rel=0.2)
    assert found[0].observed == pytest.approx(0.1, rel=0.2)


def test_buckets_creation_times_and_info_are_not_scored():
    detector = build({"warmup": 5})
    series = tuple({"__name__": f"x{suffix}"} for suffix in ("_bucket", "_created", "_info"))
    for tick in range(40):
        assert detector.observe(Batch(float(tick), series, np.full(3, tick * 1000.0))) == []


def test_series_beyond_the_cap_are_refused_and_silent_ones_make_room():
    detector = build({"max_series": 10, "forget_after": "60s"})
    many = tuple({"__name__": "g", "i": str(i)} for i in range(15))
    detector.observe(Batch(0.0, many, np.ones(15)))
    assert detector.refused == 5
    other = tuple({"__name__": "h", "i": str(i)} for i in range(10))
    for tick in range(600):
        detector.observe(Batch(100.0 + tick, other, np.ones(10)))
    detector.observe(Batch(1000.0, (*other, many[0]), np.ones(11)))
    assert detector.refused == 1
    assert len(detector.table) == 10


@pytest.mark.parametrize(
    ("config", "words"), [({"warm_up": 3}, "warm_up"), ({"alpha": 2}, "alpha"), ({"forget_after": "soon"}, "duration")]
)
def test_wrong_settings_are_named(config, words):
    with pytest.raises(BadInput, match=words):
        build(config)
