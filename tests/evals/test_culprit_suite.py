import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from evals.culprit import hit_at, run_culprit
from evals.culprits.perturbations import PERTURBATIONS
from evals.culprits.petshop import read_petshop
from evals.culprits.robustness import perturbed
from models.domain.errors import BadInput

PETSHOP = Path(os.environ.get("SUTURE_DATA", "../shared/data")) / "petshop"
NODES = ("web", "shop", "db")


def metrics(path, rows):
    """`rows`: per time, (latency, requests, availability) of each node."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = [("latency", "Average"), ("requests", "Sum"), ("availability", "Average")]
    columns = [(node, *kind) for kind in kinds for node in NODES]
    head = [
        ",".join([name, *parts])
        for name, parts in zip(("node", "metric", "statistic"), zip(*columns, strict=True), strict=True)
    ]
    lines = [",".join([str(1000 + 300 * i), *map(str, row)]) for i, row in enumerate(rows)]
    path.write_text("\n".join([*head, "unix_timestamp" + "," * len(columns), *lines]) + "\n")


@pytest.fixture
def petshop(tmp_path):
    scenario = tmp_path / "made"
    wobble = [0.001 * (i % 3) for i in range(30)]
    metrics(
        scenario / "noissue" / "metrics.csv",
        [[0.3 + w, 0.2 + w, 0.1 + w, 100, 100, 200, 100, 100, 100] for w in wobble],
    )
    slow = [[0.8, 0.7, 0.35, 100, 100, 200, 100, 100, 100]] * 5
    metrics(scenario / "test" / "issue_0" / "metrics.csv", slow)
    label = {"target": {"node": "web", "metric": "latency"}, "root_cause": {"node": "db"}}
    (scenario / "test" / "issue_0" / "target.json").write_text(json.dumps(label))
    (scenario / "graph.csv").write_text(",web,shop,db\nweb,0,1,0\nshop,0,0,1\ndb,0,0,0\n")
    return tmp_path


def test_the_callee_that_carries_the_excess_is_the_culprit(petshop):
    result = run_culprit(petshop)
    assert (result["n"], result["top1"], result["top3"]) == (1, 1.0, 1.0)
    [row] = result["rows"]
    assert row["issue"] == "made/test/issue_0"
    assert row["ranked"][0]["node"] == "db"
    assert row["ranked"][0]["metric"] == "latency"


def test_the_label_does_not_move_the_ranking(petshop):
    before = run_culprit(petshop)["rows"][0]["ranked"]
    path = petshop / "made" / "test" / "issue_0" / "target.json"
    path.write_text(path.read_text().replace('"db"', '"shop"'))
    result = run_culprit(petshop)
    assert result["rows"][0]["ranked"] == before
    assert (result["top1"], result["top3"]) == (0.0, 1.0)


def test_ties_count_by_expectation():
    scores = {"a": 2.0, "b": 1.0, "c": 1.0, "d": 0.0}
    assert [hit_at(scores, "b", k) for k in (1, 2, 3)] == [0.0, 0.5, 1.0]
    assert hit_at(scores, "d", 9) == 0.0


@pytest.mark.parametrize(
    "name", ["graph.csv", "noissue/metrics.csv", "test/issue_0/metrics.csv", "test/issue_0/target.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_missing_or_empty_file_fails_loudly(petshop, name, damage):
    path = petshop / "made" / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("")
    with pytest.raises(BadInput):
        run_culprit(petshop)


def test_a_measurement_that_is_no_number_is_an_error_of_that_file(petshop):
    path = petshop / "made" / "noissue" / "metrics.csv"
    path.write_text(path.read_text().replace("0.301", "slow"))
    with pytest.raises(BadInput, match="not a number"):
        run_culprit(petshop)


@pytest.mark.parametrize("one", PERTURBATIONS, ids=lambda one: one.name)
def test_a_perturbation_changes_measurements_never_the_label(petshop, one):
    [issue] = read_petshop(petshop)[0]
    changed = one.change(np.random.default_rng(0), issue)
    assert (changed.gold, changed.target, changed.fault) == (issue.gold, issue.target, issue.fault)
    assert changed.around is not issue.around or changed.normal is not issue.normal


@pytest.mark.needs_data
@pytest.mark.skipif(not PETSHOP.is_dir(), reason="SUTURE_DATA has no petshop folder")
def test_perturbed_petshop_issues():
    worst = perturbed(read_petshop(PETSHOP)[0], seeds=1)
    assert min(worst.values()) >= 0.75
    assert np.mean(list(worst.values())) >= 0.95


def test_no_scenario_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="no scenario"):
        run_culprit(tmp_path)


@pytest.mark.needs_data
@pytest.mark.skipif(not PETSHOP.is_dir(), reason="SUTURE_DATA has no petshop folder")
def test_petshop_data(tmp_path):
    result = run_culprit(PETSHOP)
    assert result["n"] == 34
    assert result["top1"] >= 0.97
    assert result["low_traffic"]["latency"]["suture"]["top1"] > result["low_traffic"]["latency"]["traversal"]["top1"]
    assert result["notes"] == ["temporal_traffic1 has no normal period: that of low_traffic stands in"]
    shutil.copytree(PETSHOP / "temporal_traffic1", tmp_path / "temporal_traffic1")
    with pytest.raises(BadInput, match="noissue"):
        run_culprit(tmp_path)
