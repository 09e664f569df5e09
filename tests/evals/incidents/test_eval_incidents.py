"""`suture eval incidents`: an organisation's own history in, figures and what they are worth out."""

import json

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from tests.evals.incidents.rows import row

DOWN, FULL = {"runbook": "database-down", "action": "restart"}, {"runbook": "queue-full"}


@pytest.fixture
def rows():
    """Two that the runbooks answer, one where they mislead, two that nothing fits, three with remedies in words."""
    return [
        row("down", "DatabaseDown", DOWN, text="The database refuses connections", telemetry={"pg_up": [1, 0, 0]}),
        row("full", "QueueGrows", FULL, text="The queue of orders grows"),
        row("misled", "DatabaseDown", FULL, text="The database refuses connections", telemetry={"pg_up": [1, 0, 0]}),
        row("payroll", "PayrollOff", None, text="Totals are off by one cent"),
        row("noise", "DatabaseDown", None, text="The database refuses connections", telemetry={"pg_up": [0, 0, 0]}),
        row("disk", "DiskFull", {"remediation": "Delete old logs"}, text="The disk is full of logs"),
        row("disk-again", "DiskFull", {"remediation": "Delete old  logs"}, text="The disk is full of logs"),
        row("name", "LookupFails", {"remediation": "Restart the resolver of names"}, text="Names are not resolved"),
    ]  # fmt: skip


def evaluate(*arguments):
    return CliRunner().invoke(app, ["eval", "incidents", *map(str, arguments)])


def test_how_often_right_and_how_often_rightly_silent(rows, write_rows, two_books, tmp_path):
    path, out = write_rows(rows), tmp_path / "out"
    done = evaluate(path, "--runbooks", two_books, "--json", "--out", out)
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    by_id = {one["id"]: one for one in report["rows"]}
    assert (report["n"], report["judged"]) == (8, 8)
    assert by_id["down"]["answer"] == "database-down/restart"
    assert [by_id[name]["top1"] for name in ("down", "full", "misled")] == [1, 1, 0]
    assert by_id["misled"]["reciprocal_rank"] == 0.5
    assert (by_id["payroll"]["answer"], by_id["payroll"]["correct"]) == ("(abstained)", 1)
    assert (by_id["noise"]["abstained"], by_id["noise"]["correct"]) == (None, 0)
    assert report["abstention"]["recall"] == 0.5
    assert report["abstention"]["needless"] == 0
    assert report["by_kind"]["action"] == {"n": 3, "top1": 0.6667, "top3": 1.0, "mrr": 0.8333}
    assert {one["name"] for one in by_id["disk-again"]["ranked"]} == {
        "Delete old logs", "Restart the resolver of names",
    }, "the same words are one remedy"  # fmt: skip
    low, high = report["intervals"]["of"]["top1"]
    assert low < report["top1"] < high
    assert {"gold": "queue-full", "answer": "database-down", "n": 1} in report["confusion"]
    assert report["selective"]["curve"][-1]["coverage"] == 1
    promise = report["selective"]["promise"]
    assert (promise["guaranteed"], promise["answers_needed"]) == (None, 45), "so few incidents promise nothing"
    assert report["calibration"]
    assert report["latency"]["p99_ms"] >= report["latency"]["p50_ms"] > 0
    assert report["model"] is None
    assert json.loads((out / "incidents.json").read_text()) == report
    again = json.loads(evaluate(path, "--runbooks", two_books, "--json").stdout)
    assert again["intervals"] == report["intervals"]


def test_bars_for_continuous_integration(rows, write_rows, two_books):
    path = write_rows(rows[:5])
    done = evaluate(path, "--runbooks", two_books, "--fail-under", "top1=0.6", "--fail-over", "abstention.needless=0")
    assert done.exit_code == 0, done.stderr
    assert "0.6667" in done.stdout
    done = evaluate(path, "--runbooks", two_books, "--fail-under", "top1=0.9", "--fail-under", "abstention.recall=0.6")
    assert done.exit_code == 1
    assert "top1 is 0.6667, under 0.9" in done.stderr
    assert "abstention.recall is 0.5, under 0.6" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--fail-under", "top1", "metric=value"), ("--fail-under", "ece=0.1", "--fail-over ece=0.1"),
        ("--fail-over", "top1=1", "--fail-under top1=1"), ("--fail-under", "recall=1", "there is no figure 'recall'"),
    ],
)  # fmt: skip
def test_a_bar_that_makes_no_sense(rows, write_rows, two_books, option, value, words):
    done = evaluate(write_rows(rows[:1]), "--runbooks", two_books, option, value)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("gold", "words"),
    [
        ({"runbook": "database-dwn"}, "did you mean 'database-down'"),
        ({"runbook": "database-down", "action": "reboot"}, "database-down has restart"),
    ],
)
def test_a_truth_that_the_folders_do_not_have(write_rows, two_books, gold, words):
    done = evaluate(write_rows([row("x", "DatabaseDown", gold)]), "--runbooks", two_books)
    assert done.exit_code == 2
    assert "incident 'x'" in done.stderr
    assert words in done.stderr
    assert done.stderr.strip().count("\n") == 1  # how many there are, and the error


def test_a_runbook_without_actions_is_judged_by_what_is_found(write_rows, two_books):
    (two_books / "names.md").write_text(
        "# Names are not resolved\n\nRestart the resolver; look at its cache of names.\n"
    )
    rows = [row("names", "LookupFails", {"runbook": "names", "culprit": "shop"}, text="Names are not resolved")]
    report = json.loads(evaluate(write_rows(rows), "--runbooks", two_books, "--json").stdout)
    assert report["by_kind"]["document"] == {"n": 1, "top1": 1.0, "top3": 1.0, "mrr": 1.0}
    assert report["culprit"] == {"n": 1, "top1": 1.0, "top3": 1.0}
    assert report["ece"] is None
    assert any("no actions" in words for words in report["notes"])
    assert any("was not measured" in words for words in report["notes"])
