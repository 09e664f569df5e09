import numpy as np
import pytest
from typer.testing import CliRunner

from evals.culprits.baselines import BASELINES
from evals.culprits.cases import make_cases
from evals.culprits.learning import learn
from evals.culprits.simulated import found_at, probabilities, run_simulated
from models.localisation.features import FEATURES
from service.cli.main import app


@pytest.fixture(scope="module")
def cases():
    return list(make_cases(range(3000, 3002), 1))


def test_the_product_beats_simple_methods():
    result = run_simulated(graphs=2, each=1)
    assert result["n"] >= 14
    assert result["top1"] >= max(one["top1"] for one in result["baselines"].values())
    assert result["several"]["n"] > 0
    assert set(result["by_kind"]) >= {"latency", "errors", "saturation", "one instance", "slow leak", "outside"}


def test_the_same_seed_makes_the_same_cases(cases):
    again = next(make_cases(range(3000, 3001), 1))
    assert again.truths == cases[0].truths
    assert probabilities(again) == probabilities(cases[0])


def test_a_truth_is_a_node_of_its_graph(cases):
    for case in cases:
        assert all(truth <= set(case.calls) for truth in case.truths)
        assert (case.truths[0] == frozenset()) is (case.kind == "outside")


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_name_nodes(cases, name):
    for case in cases:
        scores = BASELINES[name](case)
        assert set(scores) <= {*case.calls}
        assert all(np.isfinite(list(scores.values())))


def test_weights_can_be_learned(cases):
    weights = learn(cases)
    assert tuple(weights) == FEATURES
    assert weights["unexplained"] > 0


def test_ties_count_by_expectation_and_outside_is_an_answer():
    assert found_at({"a": 0.4, "b": 0.4, "": 0.2}, frozenset({"a"}), 1) == 0.5
    assert found_at({"a": 0.3, "": 0.7}, frozenset(), 1) == 1.0
    assert found_at({"a": 0.3}, frozenset({"c"}), 3) == 0.0


@pytest.mark.parametrize("given", [[], ["--simulate", "--petshop", "."]])
def test_one_of_the_two_is_asked_for(given):
    result = CliRunner().invoke(app, ["eval", "culprit", *given])
    assert result.exit_code == 2
    assert "either --petshop DIR or --simulate" in result.output
