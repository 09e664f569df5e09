import numpy as np
import pytest

from models.localisation.excess import rank_by_excess
from models.localisation.measures import Measure, NodeSeries, excess_of

CALLS = {"web": ("shop",), "shop": ("db", "cache")}
WOBBLE = 0.002 * np.array([0, 1, 2] * 8, dtype=float)


def series(latency, requests=100.0, windows=5):
    return NodeSeries(requests=np.full(windows, requests), latency=np.full(windows, latency))


def ranked(around):
    """`db` was slow: so were its callers. Nodes that `around` lacks were not measured."""
    normal = {name: NodeSeries(np.full(24, 100.0), 0.1 + WOBBLE) for name in ("web", "shop", "db", "cache")}
    found = {name: excess_of(normal.get(name, NodeSeries()), one, Measure.LATENCY) for name, one in around.items()}
    return rank_by_excess({name: one for name, one in found.items() if one is not None}, CALLS, "web")


SLOW = {"web": series(0.6), "shop": series(0.6), "db": series(0.5), "cache": series(0.101)}


def test_the_deepest_that_carries_the_excess_is_first():
    assert ranked(SLOW)[0][0] == "db"


def test_a_node_of_which_nothing_is_measured_is_passed():
    assert ranked({name: one for name, one in SLOW.items() if name != "shop"})[0][0] == "db"


def test_missing_windows_do_not_make_an_excess_smaller():
    holes = np.array([0.5, np.nan, np.nan, np.nan, 0.5])
    assert ranked(SLOW | {"db": NodeSeries(np.full(5, 100.0), holes)})[0][0] == "db"


@pytest.mark.parametrize("requests", [None, np.full(5, np.nan)])
def test_requests_that_are_not_measured_are_those_of_normal_times(requests):
    assert ranked(SLOW | {"db": NodeSeries(requests, np.full(5, 0.5))})[0][0] == "db"


def test_windows_without_requests_carry_nothing():
    silent = NodeSeries(np.full(5, np.nan), np.full(5, np.nan))
    assert dict(ranked(SLOW | {"db": silent})).get("db", 0.0) == 0.0
    assert ranked(SLOW | {"db": silent})[0][0] == "shop"


def test_a_callee_that_is_new_does_not_explain_its_caller():
    normal = {name: NodeSeries(np.full(24, 100.0), 0.1 + WOBBLE) for name in ("web", "shop")}
    found = {
        name: excess_of(normal.get(name, NodeSeries()), SLOW[name], Measure.LATENCY) for name in CALLS | {"db": ()}
    }
    order = rank_by_excess({name: one for name, one in found.items() if one is not None}, CALLS, "web")
    assert order[0][0] == "shop"
