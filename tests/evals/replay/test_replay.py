"""`suture replay`: what autonomy would have done with incidents of the past; nothing is executed."""

import json
from datetime import datetime

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from tests.evals.incidents.rows import row

DOWN = {"runbook": "database-down", "action": "restart"}
ALONE = '@id("alone") permit (principal == Autopilot::"suture", action, resource) when { context.level == "auto" };\n'
ASK = '@id("ask") permit (principal in Role::"approver", action, resource);\n'


def replay(*arguments):
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


@pytest.fixture
def policies(tmp_path):
    folder = tmp_path / "policies"
    folder.mkdir()

    def write(text):
        (folder / "own.cedar").write_text(text)
        return folder

    return write


def down(identifier, gold=DOWN, up=0, minute=0, **more):
    times = {"started_at": f"2026-01-31T12:{minute:02}:00Z"} | more
    made = row(identifier, "DatabaseDown", gold, text="The database refuses connections", **times)
    at = f"2026-01-31T12:{minute:02}:05Z"
    made["signals"][0]["at"] = at
    if up is not None:
        begin = int(datetime.fromisoformat(at).timestamp())
        made["telemetry"] = {"series": [{"labels": {"__name__": "pg_up"}, "at": [begin - 5, begin], "values": [1, up]}]}
    return made


def told(done):
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer, {one["incident"]: one for one in answer["rows"]}


def test_what_it_would_have_done_alone_and_what_that_saves(write_rows, two_books, policies):
    rows = [
        down("right", resolved_at="2026-01-31T12:40:05Z"), down("wrong", {"runbook": "queue-full"}, minute=1),
        down("unmet", up=1, minute=2), down("blind", up=None, minute=3),
        row("payroll", "PayrollOff", None, text="Totals are off by one cent"),
        down("words", {"remediation": "Somebody did something"}, minute=4),
    ]  # fmt: skip
    options = ("--runbooks", two_books, "--policies", policies(ALONE + ASK), "--mode", "auto", "--levels", "auto")
    answer, by_id = told(replay(write_rows(rows), *options, "--json"))
    assert {name: one["would_have"] for name, one in by_id.items()} == {
        "right": "acted", "wrong": "acted", "words": "acted", "blind": "held", "unmet": "abstained",
        "payroll": "abstained",
    }  # fmt: skip
    assert (answer["acted"]["right"], answer["acted"]["wrong"], answer["acted"]["unknown"]) == (1, 1, 1)
    assert answer["acted"]["precision"] == 0.5
    assert answer["time_saved"] == {"incidents": 1, "seconds": 2400.0, "median_seconds": 2400.0}
    assert answer["abstained"] == {"right": 1, "wrong": 1, "unknown": 0}
    assert "was not recorded" in by_id["blind"]["reason"]
    _, supposed = told(replay(write_rows(rows), *options, "--json", "--assume-preconditions"))
    assert supposed["blind"]["would_have"] == "acted"
    shown = replay(write_rows(rows), *options)
    assert "would have acted by itself in 3: right in 1, wrong in 1" in shown.stdout


def test_modes_and_policies_decide(write_rows, two_books, policies):
    path, books = write_rows([down("a")]), ("--runbooks", two_books, "--json")
    _, by_id = told(replay(path, *books))
    assert (by_id["a"]["would_have"], by_id["a"]["approver_role"], by_id["a"]["approvals_needed"]) == (
        "asked",
        "approver",
        1,
    )
    _, by_id = told(replay(path, *books, "--mode", "suggest"))
    assert by_id["a"]["would_have"] == "suggested"
    never = policies('@id("never") forbid (principal, action, resource);\n')
    _, by_id = told(replay(path, *books, "--policies", never))
    assert (by_id["a"]["would_have"], by_id["a"]["policies"]) == ("forbidden", ["never"])
    assert "--mode auto shows what would" in replay(path, *books[:2]).stderr


def test_levels_are_earned_on_the_way_and_lost_by_one_wrong_act(write_rows, two_books, policies, monkeypatch):
    monkeypatch.setenv("SUTURE_LIMITS__RATES", "[]")
    rows = [down(f"r{n:02}", minute=n) for n in range(22)] + [down("bad", {"runbook": "queue-full"}, minute=23)]
    rows.append(down("after", minute=24))
    options = ("--runbooks", two_books, "--policies", policies(ALONE + ASK), "--mode", "auto", "--json")
    answer, by_id = told(replay(write_rows(rows), *options))
    assert [one["would_have"] for one in answer["rows"]] == ["asked"] * 20 + ["acted"] * 3 + ["asked"]
    assert [one["change"].rpartition(": ")[2] for one in answer["changes"]] == ["approve → auto", "auto → approve"]
    assert by_id["bad"]["right"] is False


def test_limits_hold_over_what_would_have_been_started(write_rows, two_books, policies, monkeypatch):
    monkeypatch.setenv("SUTURE_LIMITS__RATES", '[{"count": 1, "per": "10m"}]')
    rows = [down("first"), down("soon", minute=5), down("later", minute=20)]
    options = ("--runbooks", two_books, "--policies", policies(ALONE + ASK), "--mode", "auto", "--levels", "auto")
    _, by_id = told(replay(write_rows(rows), *options, "--json"))
    assert [by_id[name]["would_have"] for name in ("first", "soon", "later")] == ["acted", "held", "acted"]
    freeze = '[{"name": "release", "start": "2026-01-31T12:10:00Z", "end": "2026-01-31T13:00:00Z"}]'
    monkeypatch.setenv("SUTURE_LIMITS__FREEZES", freeze)
    _, by_id = told(replay(write_rows(rows), *options, "--json"))
    assert by_id["later"]["would_have"] == "forbidden"
    assert "release" in by_id["later"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either a FILE"), (("FILE", "--data", "DIR"), "either a FILE"), (("FILE", "--levels", "high"), "--levels"),
        (("FILE", "--levels", "now"), "go with --data"), (("FILE", "--mode", "full"), "--mode"),
        (("FILE", "--policies", "none"), "none"), (("--data", "DIR"), "holds no state"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(write_rows, two_books, tmp_path, arguments, words):
    places = {"FILE": write_rows([down("a")]), "DIR": tmp_path / "no"}
    done = replay(*(places.get(each, each) for each in arguments), "--runbooks", two_books)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
