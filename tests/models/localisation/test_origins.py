import numpy as np
import pytest

from models.localisation.features import FEATURES, OUTSIDE
from models.localisation.measures import Measure, NodeSeries
from models.localisation.origins import WEIGHTS, origins

CALLS = {"web": ("shop", "search"), "shop": ("db",), "search": ("db",)}
NODES = ("web", "shop", "search", "db")
WOBBLE = 1 + 0.02 * np.array([-1, 0, 1] * 8, dtype=float)


def window(latency=0.1, requests=600.0, failed=0.0, windows=5):
    return NodeSeries(np.full(windows, requests), np.full(windows, latency), np.full(windows, failed))


NORMAL = {name: NodeSeries(600 * WOBBLE, 0.1 * WOBBLE, 0.001 * WOBBLE) for name in NODES}


def found(measure=Measure.LATENCY, normal=NORMAL, **around):
    return origins(normal, {name: window() for name in NODES} | around, CALLS, "web", measure)


def test_probabilities_of_all_nodes_and_outside_sum_to_one():
    ranked = found(web=window(0.5))
    assert {one.node for one in ranked} == {*NODES, OUTSIDE}
    assert sum(one.probability for one in ranked) == pytest.approx(1)


def test_a_slow_callee_comes_before_the_callers_that_wait_for_it():
    slow = {name: window(0.6) for name in ("web", "shop", "search", "db")}
    assert found(**slow)[0].node == "db"


def test_a_service_that_calls_another_too_often_comes_before_the_one_that_cannot_bear_it():
    flooded = {"web": window(0.7), "shop": window(0.7), "db": window(0.6, requests=4000.0)}
    assert found(**flooded)[0].node == "shop"


def test_more_users_than_all_can_bear_is_a_cause_outside():
    surge = {name: window(latency, requests=2400.0) for name, latency in zip(NODES, (0.4, 0.3, 0.28, 0.2), strict=True)}
    assert found(**surge)[0].node == OUTSIDE


def test_two_causes_are_both_named():
    ranked = found(web=window(0.8), shop=window(0.5), search=window(0.3))
    assert {one.node for one in ranked[:3]} == {"web", "shop", "search"}
    assert {one.node: one.probability for one in ranked}["search"] > 0.1


def test_a_node_of_which_nothing_is_known_is_suspected_where_its_callers_have_no_other_excuse():
    lost = {name: one for name, one in NORMAL.items() if name != "db"}
    around = {"web": window(0.6), "shop": window(0.6), "search": window(0.6)}
    ranked = origins(lost, around, CALLS, "web", Measure.LATENCY)
    share = {one.node: one.probability for one in ranked}
    assert share["db"] > share["web"]


def test_the_order_of_nodes_does_not_matter():
    slow = {name: window(0.6) for name in ("web", "shop", "db")} | {"search": window()}
    turned = {name: tuple(reversed(callees)) for name, callees in reversed(CALLS.items())}
    back = origins(dict(reversed(NORMAL.items())), dict(reversed(slow.items())), turned, "web", Measure.LATENCY)
    assert [one.node for one in back] == [one.node for one in origins(NORMAL, slow, CALLS, "web", Measure.LATENCY)]


def test_every_feature_has_a_weight():
    assert tuple(WEIGHTS) == FEATURES
