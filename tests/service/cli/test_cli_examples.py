"""The incident files of examples/, which the documentation shows."""

import json
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "incidents"


def recommended(suture, name):
    done = suture("recommend", "--incident", str(EXAMPLES / name), "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "runbook", "target"),
    [
        ("shop-down.json", "service-down", "process:shop"),
        ("database-connections.json", "postgres-connections-exhausted", "process:postgres"),
    ],
)
def test_the_sandboxs_two_incidents_get_the_right_action(suture, name, runbook, target):
    answer = recommended(suture, name)
    assert answer["abstained"] is None
    best = answer["candidates"][0]
    assert (best["runbook"], best["uses"], best["target"]) == (runbook, "process/restart", target)
    assert best["probability"] > 0.4
    assert best["citations"]
    assert answer["gaps"] == ["no telemetry source: the state now was not looked at"]


def test_an_incident_that_no_runbook_covers_gets_none_and_the_reason(suture):
    answer = recommended(suture, "payroll-rounding.json")
    assert "No candidate reaches the probability 0.25" in answer["abstained"]["reason"]
    assert "missing: a matching trigger" in answer["abstained"]["reason"]


def test_the_text_fits_the_terminal_and_leaves_out_what_nobody_would_try(suture, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = suture("recommend", "--incident", str(EXAMPLES / "database-connections.json"))
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("1. ") and "Restart PostgreSQL to drop every connection" in line for line in lines)
    assert any("less probable; --json shows all" in line for line in lines)
    assert not any(line.startswith("0%") for line in lines)
