import numpy as np

from models.detection.fdr import BatchControl, benjamini_hochberg


def test_benjamini_hochberg_steps_up():
    p = np.array([0.01, 0.04, 0.03, 0.8, 0.045])
    found, helped = benjamini_hochberg(p, 0.05, 5)
    assert found.tolist() == [True, False, False, False, False]
    assert helped >= 1
    found, _ = benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.039]), 0.05, 4)
    assert found.all()
    assert benjamini_hochberg(np.empty(0), 0.05, 0)[0].shape == (0,)


def test_without_effects_false_discoveries_are_rare_over_the_horizon():
    random = np.random.default_rng(1)
    windows = 0
    for _ in range(40):
        control = BatchControl(alpha=0.05, horizon=200)
        windows += any(control.decide(random.random(100)).any() for _ in range(200))
    assert windows <= 6  # expected 2


def test_share_of_false_discoveries_stays_near_alpha_with_effects():
    random = np.random.default_rng(2)
    control = BatchControl(alpha=0.1, horizon=100)
    true = false = 0
    for tick in range(1000):
        p = random.random(200)
        p[:5] = 1e-9 if tick % 10 == 0 else p[:5]
        found = control.decide(p)
        true += found[:5].sum() if tick % 10 == 0 else 0
        false += found[5:].sum()
    assert true == 500
    assert false / (true + false) <= 0.1


def test_level_does_not_die_in_a_long_quiet_stream():
    control = BatchControl(alpha=0.05, horizon=100)
    for _ in range(5000):
        control.decide(np.ones(50))
    p = np.ones(50)
    p[7] = 0.05 / 100 / 50 * 0.9
    assert control.decide(p).tolist() == [i == 7 for i in range(50)]


def test_a_storm_deafens_nobody_when_it_leaves_the_window():
    control = BatchControl(alpha=0.05, horizon=100)
    single = np.ones(50)
    single[7] = 0.05 / 100 / 50 * 0.9
    for tick in range(1000):
        storm = np.ones(50)
        storm[:5] = 1e-30 if 300 <= tick < 304 else 1.0
        control.decide(storm)
        assert control.threshold(50) >= single[7], f"deaf at tick {tick}"
    assert control.decide(single)[7]
