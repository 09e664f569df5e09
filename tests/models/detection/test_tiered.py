import numpy as np
import pytest

from models.detection.batch import Batch
from models.detection.deep.detector import build as build_deep
from models.detection.lockstep import build as build_fast
from models.detection.tiered import build
from models.domain.errors import BadInput

SERIES = tuple({"__name__": name, "service": "shop"} for name in ("latency_seconds", "queue_length", "workers"))


def play(detector, values, begin=0):
    found = []
    for tick, row in enumerate(values):
        found.append(detector.observe(Batch(15.0 * (begin + tick), SERIES, np.asarray(row))))
    return found


@pytest.fixture
def values():
    random = np.random.default_rng(4)
    return random.normal(10.0, 1.0, (900, 3))


def test_what_matters_is_looked_at_by_the_deep_tier_from_the_first_sample(values):
    # In the midst of what it usually is: only the past as a whole tells that no value was ever there.
    values[:, 0] = np.where(np.arange(900) % 2, 5.0, 15.0) + values[:, 0] / 100
    values[800, 0] = 10.0
    fast, both = build_fast({}), build({"matter": ["latency_*"]})
    assert not any(play(fast, values)[800])
    found = play(both, values)
    assert [bool(one.component) for one in found[800] if one.labels == SERIES[0]] == [True]
    assert both.deep.series == 1


def test_what_the_fast_tier_finds_is_looked_at_from_then_on(values):
    detector = build({})
    values[300:320, 2] += 60.0
    found = play(detector, values[:400])
    assert SERIES[2] in [one.labels for batch in found for one in batch]
    assert detector.deep.knows(SERIES[2])
    assert not detector.deep.knows(SERIES[1])
    keys = [sorted(one.labels.items()) for one in found[310]]
    assert keys == sorted(keys), "each series once"
    assert len(keys) == 1


def test_the_deep_tier_takes_no_more_than_it_has_room_for(values):
    detector = build({"matter": ["*"], "deep": {"max_series": 2}})
    play(detector, values[:50])
    assert (detector.deep.series, detector.deep.refused_total) == (2, 0)
    assert detector.series == 3


def test_a_restart_forgets_nothing_and_one_tiers_state_is_taken_over(values):
    config = {"matter": ["latency_*"]}
    values[600:, 1] += 30.0
    whole, first, second = build(config), build(config), build(config)
    said = play(whole, values)
    before = play(first, values[:500])
    second.restore(first.dump())
    assert before + play(second, values[500:], 500) == said
    for other in (build_fast({}), build_deep({})):
        play(other, values[:50])
        taken = build(config)
        taken.restore(other.dump())
        assert max(taken.fast.series, taken.deep.series) == 3
    with pytest.raises(ValueError, match="another detector"):
        build_fast({}).restore(whole.dump())


def test_wrong_settings_are_named():
    with pytest.raises(BadInput, match=r"fast\.warmup"):
        build({"fast": {"warmup": 1}})
