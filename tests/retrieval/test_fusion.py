from __future__ import annotations

import numpy as np
import pytest

from retrieval.fusion import fuse, z_scores


def test_z_scores_are_in_spreads_of_the_population():
    assert z_scores(np.array([1.0, 3.0])).tolist() == [-1, 1]
    assert z_scores(np.array([4.0]), np.array([0.0, 2.0])).tolist() == [3]


@pytest.mark.parametrize("population", [[], [5.0], [2.0, 2.0]])
def test_an_arm_without_spread_has_no_opinion(population):
    assert z_scores(np.array([9.0, 1.0]), np.array(population)).tolist() == [0, 0]


def test_dense_arms_share_their_weight():
    lexical, arm, usual = np.zeros(2), np.array([0.0, 1.0]), np.array([-1.0, 1.0])
    assert fuse(lexical, [(arm, usual)]).tolist() == fuse(lexical, [(arm, usual), (arm, usual)]).tolist() == [0, 1]


def test_neither_side_alone_decides():
    lexical, dense = np.array([3.0, 2.9, 0.0]), np.array([0.1, 0.8, 0.9])
    assert int(np.argmax(fuse(lexical, [(dense, dense)]))) == 1
