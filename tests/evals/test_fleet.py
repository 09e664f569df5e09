"""The proof of the fast tier, small: `python -m evals.fleet`."""

import json
from itertools import pairwise

from typer.testing import CliRunner

from evals.fleet.__main__ import app
from evals.fleet.faults import run_faults
from evals.fleet.healthy import A_SERVICE, METRICS, Fleet
from evals.fleet.injected import KINDS
from evals.fleet.week import run_week


def test_a_fleet_has_the_series_that_it_says_and_counters_never_fall():
    fleet = Fleet(5, 1)
    batches = [fleet.next() for _ in range(50)]
    assert len(fleet.series) == len({frozenset(labels.items()) for labels in fleet.series}) == 5 * A_SERVICE
    assert {labels["__name__"] for labels in fleet.series} == set(METRICS)
    totals = [place for place, labels in enumerate(fleet.series) if labels["__name__"].endswith("_total")]
    for before, after in pairwise(batches):
        assert (after.values[totals] >= before.values[totals]).all()
    again = Fleet(5, 1)
    assert (again.next().values == batches[0].values).all()


def test_health_opens_no_incident_and_control_takes_alarms_away():
    found = run_week(series=400, days=0.5, seed=3)
    assert (found["series"], found["ticks"]) == (400, 720)
    assert found["with_control"]["false_incidents_a_day"] == 0
    with_control, without = (found[name]["false_anomalies_a_day"] for name in ("with_control", "without_control"))
    assert with_control <= without
    assert with_control <= 4


def test_every_kind_of_fault_is_drawn_and_levels_are_found():
    found = run_faults(count=16, seed=4)
    assert set(found["kinds"]) == set(KINDS)
    assert sum(kind["faults"] for kind in found["kinds"].values()) == 16
    assert sum(kind["found"] for kind in found["kinds"].values()) == found["found"]
    assert found["kinds"]["level"]["found"] == 2
    assert 1 <= found["kinds"]["level"]["median_delay"] <= 15


def test_the_command_prints_json_and_names_a_wrong_option():
    runner = CliRunner()
    assert json.loads(runner.invoke(app, ["faults", "--count", "8"]).stdout)["faults"] == 8
    wrong = runner.invoke(app, ["week", "--series", "3"])
    assert wrong.exit_code == 2
    assert "--series" in wrong.stderr
