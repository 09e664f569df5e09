import json
from datetime import UTC, datetime

import pytest

from models.domain.execution import ExecutionState, Outcome


def test_the_report_in_both_forms_and_into_a_file(suture, installation, tmp_path):
    data = ("--data", str(installation))
    text = suture("incident", "report", "INC-1", *data).stdout
    assert text.startswith("# INC-1: shop is down")
    assert "\x1b" not in text
    assert suture("incident", "report", "INC-1", "--markdown", *data).stdout == text
    made = json.loads(suture("incident", "report", "INC-1", "--json", *data).stdout)
    assert made["episodes"][0]["attempts"][0]["execution"] == "EXE-1"
    file = tmp_path / "report.md"
    written = suture("incident", "report", "INC-1", "--out", str(file), *data)
    assert (written.stdout, file.read_text()) == ("", text)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("INC-99",), 1, "no incident INC-99"), (("INC-1", "--json", "--markdown"), 2, "choose one"),
        (("INC-1", "--out", "/nowhere/at/all"), 2, "cannot be written"),
    ],
)  # fmt: skip
def test_reports_that_cannot_be(suture, installation, arguments, code, words):
    done = suture("incident", "report", *arguments, "--data", str(installation))
    assert done.exit_code == code
    assert words in done.stderr


def test_statistics_of_what_was_opened_lately(suture, installation):
    data = ("--data", str(installation))
    found = json.loads(suture("incident", "stats", "--json", *data).stdout)
    assert (found["incidents"], found["ended"], found["share_without_a_person"]) == (1, 0, None)
    assert found["resolve"] == {"reached": 0, "median_seconds": None, "p90_seconds": None}
    assert json.loads(suture("incident", "stats", "--since", "0s", "--json", *data).stdout)["incidents"] == 0
    assert "1 incident, 1 episode, 0 ended" in suture("incident", "stats", *data).stdout
    wrong = suture("incident", "stats", "--since", "soon", *data)
    assert (wrong.exit_code, "--since" in wrong.stderr) == (2, True)


def test_outcomes_as_a_table_and_as_json(suture, installation, stored):
    now = datetime.now(UTC)
    with stored() as state:
        state.executions.add_outcome(
            Outcome(
                execution="EXE-1", incident="INC-1", runbook="service-down", action="restart", uses="process/restart",
                environment="sandbox", state=ExecutionState.SUCCEEDED, verified=True, at=now,
            )
        )  # fmt: skip
    data = ("--data", str(installation))
    row = suture("execution", "outcomes", *data).stdout.splitlines()[1].split()
    assert row[:8] == ["service-down/restart", "sandbox", "1", "1", "0", "0", "0", "0.05"]
    [found] = json.loads(suture("execution", "outcomes", "--runbook", "service-down", "--json", *data).stdout)
    assert found["verified"] == 1
    assert json.loads(suture("execution", "outcomes", "--environment", "prod", "--json", *data).stdout) == []
