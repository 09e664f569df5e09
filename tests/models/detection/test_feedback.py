import numpy as np
import pytest

from models.detection.batch import Batch
from models.detection.feedback import AT_LEAST, AT_MOST, STEP, SeriesClass, Tunable, Verdict, class_of, tolerance_of
from models.detection.lockstep import build

RIGHT, WRONG = Verdict.RIGHT, Verdict.NOT_AN_INCIDENT
SERIES = tuple({"__name__": "queue_depth_ms", "service": name} for name in ("shop", "mail"))


def run(detector, shift, *, ticks=5, seed=1):
    """Services that were reported when both shift by so many of their scales after 200 calm ticks."""
    random = np.random.default_rng(seed)
    found = set()
    for tick in range(200 + ticks):
        values = 1000.5 + random.normal(0, 30, 2) + (shift * 30 if tick >= 200 else 0)
        found |= {a.labels["service"] for a in detector.observe(Batch(float(tick), SERIES, values))}
    return found


def test_verdicts_widen_and_narrow_within_bounds():
    assert tolerance_of([]) == 1.0
    assert tolerance_of([WRONG]) == STEP
    assert tolerance_of([WRONG, RIGHT]) == 1.0
    assert tolerance_of([WRONG] * 50) == AT_MOST
    assert tolerance_of([RIGHT] * 50) == AT_LEAST


def test_a_class_is_a_family_of_a_service():
    labels = {"__name__": "latency_seconds_sum", "service": "shop", "pod": "1"}
    assert class_of(labels) == SeriesClass(family="latency_seconds", service="shop")
    assert class_of({"__name__": "up", "job": "mail"}) == SeriesClass(family="up", service="mail")


def test_a_tolerant_class_lets_go_what_others_report_and_is_never_deaf():
    tolerances = {class_of(SERIES[0]): AT_MOST}
    for shift, found in ((5, {"mail"}), (5 * AT_MOST, {"shop", "mail"})):
        detector = build({})
        detector.tune(tolerances)
        assert run(detector, shift) == found
    detector = build({})
    detector.tune(tolerances)
    detector.tune({})  # taken back
    assert run(detector, 5) == {"shop", "mail"}


def test_tolerance_outlives_a_restart_and_meets_new_series():
    detector = build({})
    detector.tune({class_of(SERIES[0]): 2.0})
    run(detector, 0)
    state = detector.dump()
    detector.restore(state)
    assert [each.tolerance for each in detector.explain([0, 1])] == [2.0, 1.0]
    detector.tune({})
    detector.restore(state)
    assert [each.tolerance for each in detector.explain([0, 1])] == [1.0, 1.0]


def test_an_explanation_tells_band_observed_and_what_speaks():
    detector = build({})
    assert isinstance(detector, Tunable)
    calm = run(detector, 0)
    assert calm == set()
    before = detector.dump()
    one = detector.explain([1])[0]
    assert detector.dump() == before  # looking changes nothing
    assert one.labels == SERIES[1]
    assert one.lower < one.expected < one.upper
    assert one.expected == pytest.approx(1000, rel=0.05)
    assert (one.reported, one.warming_up, one.scored, one.departs_for) == (False, False, 205, one.departs_for)
    assert 0 < one.threshold < 0.05 / 100
    for tick in range(205, 209):
        detector.observe(Batch(float(tick), SERIES, np.array([1000.0, 1700.0])))
    shop, mail = detector.explain([0, 1])
    assert (mail.observed, mail.reported, mail.departs_for) == (1700.0, True, 4)
    assert mail.component.startswith("sum of departures upwards")
    assert mail.p_value < 1e-6 < shop.p_value
    assert not shop.reported


def test_a_series_without_a_sample_is_explained_too():
    detector = build({})
    detector.observe(Batch(0.0, SERIES, np.array([np.nan, 1.0])))
    first, second = detector.explain([0, 1])
    assert (first.last_at, first.observed, first.warming_up) == (None, None, True)
    assert second.observed == 1.0
