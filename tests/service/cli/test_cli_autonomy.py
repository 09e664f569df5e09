"""`suture autonomy` and `suture incident action-taken`, as their user sees them."""

import json
from datetime import UTC, datetime

import pytest

from models.domain.execution import ExecutionState, Outcome
from models.domain.recommendation import RankedCandidate, Recommendation
from service.cli.autonomy import levels_of
from tests.service.cli.conftest import waiting

ACTION = ("service-down/restart", "--environment", "sandbox")


@pytest.fixture
def data(installation):
    return ("--data", str(installation))


@pytest.fixture
def learn(stored, installation):
    """Executions of the action ended."""

    def ended(count, *, verified=True, first=0):
        state = ExecutionState.SUCCEEDED if verified else ExecutionState.FAILED
        with stored() as opened, opened.database.write() as connection:
            for number in range(first, first + count):
                outcome = Outcome(
                    execution=f"EXE-9-{number}", incident="INC-1", runbook="service-down", action="restart",
                    uses="process/restart", environment="sandbox", state=state, verified=verified, at=datetime.now(UTC),
                )  # fmt: skip
                levels_of(opened).learn(connection, outcome, None if verified else f"EXE-9-{number} did not help")

    return ended


@pytest.fixture
def recommended(stored, installation):
    """Suture recommended to restart the shop, and people act."""
    now = datetime.now(UTC)
    first = waiting("EXE-1", "INC-1", now).candidate
    second = first.model_copy(update={"action": "failover"})
    ranked = [
        RankedCandidate(candidate=one, probability=p, justification="", citations=())
        for one, p in ((first, 0.7), (second, 0.3))
    ]
    with stored() as opened:
        opened.recommendations.add(
            Recommendation(id="REC-1-1", incident="INC-1", created_at=now, candidates=tuple(ranked))
        )


def test_what_is_missing_is_said_in_words(suture, data, learn):
    learn(9)
    shown = suture("autonomy", "show", *ACTION, *data)
    assert shown.exit_code == 0, shown.stderr
    assert "level:    approve, by settings: where actions begin here" in shown.stdout
    assert "executed: 9 verified healthy, 0 not" in shown.stdout
    assert "counted:  9 of 9, lower bounds 0.72 (Clopper-Pearson) and 0.62 (over all looks), bar 0.8" in shown.stdout
    assert "to auto:  a mode of 'sandbox' above approve, and 11 more verified successes in a row" in shown.stdout
    answer = json.loads(suture("autonomy", "show", *ACTION, "--json", *data).stdout)
    assert (answer["level"], answer["ceiling"], answer["verified"]) == ("approve", "approve", 9)


def test_auto_is_earned_and_lost_and_set_again(suture, data, learn, monkeypatch):
    monkeypatch.setenv("SUTURE_MODE", "auto")
    learn(20)
    assert "level:    auto since" in suture("autonomy", "show", *ACTION, *data).stdout
    learn(1, verified=False, first=20)
    lost = suture("autonomy", "show", *ACTION, *data).stdout
    assert "EXE-9-20 did not help" in lost
    assert "to auto:  20 more verified successes in a row" in lost
    name, *where = ACTION
    given = suture("autonomy", "set", name, "auto", *where, "--reason", "my risk", *data)
    assert given.stdout == "service-down/restart in sandbox is at auto\n"
    entry = json.loads(suture("audit", "list", "--json", *data).stdout)[-1]
    assert (entry["event"], entry["data"]["reason"]) == ("autonomy.set", "my risk")
    assert entry["actor"].startswith("cli:")
    assert "auto → approve" in suture("incident", "show", "INC-1", *data).stdout


def test_the_list_has_what_is_known_and_says_where_the_others_are(suture, data, learn):
    assert suture("autonomy", "list", *data).stdout.count("\n") == 1
    learn(3)
    listed = suture("autonomy", "list", *data)
    assert "service-down/restart  sandbox" in listed.stdout
    assert "3 of 3" in listed.stdout
    assert "all others begin at approve" in listed.stderr
    assert json.loads(suture("autonomy", "list", "--environment", "prod", "--json", *data).stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "service-down/restrat"), 1, "no runbook has the action"),
        (("show", "service-down"), 2, "RUNBOOK/ACTION"),
        (("set", "service-down/restart-process", "king", "--reason", "x"), 2, "none of observe"),
        (("set", "service-down/restart-process", "auto", "--reason", "x"), 2, "in mode approve"),
        (("set", "service-down/restart-process", "approve", "--reason", "x"), 1, "at approve already"),
        (("set", "service-down/restart-process", "observe", "--reason", " "), 2, "say why"),
        (("set", "service-down/restart-process", "observe"), 2, "--reason"),
    ],
)
def test_what_cannot_be_is_one_clear_line(suture, data, arguments, code, words):
    done = suture("autonomy", *arguments, "--environment", "sandbox", *data)
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_a_person_did_is_compared_and_told(suture, data, recommended):
    done = suture("incident", "action-taken", "INC-1", "service-down/restart", "--comment", "by hand", *data)
    assert done.stdout == "INC-1: service-down/restart; as Suture would have\n"
    assert "what Suture would have done first: by hand" in suture("incident", "show", "INC-1", *data).stdout
    assert "people:   agreed 1 time, disagreed 0 times" in suture("autonomy", "show", *ACTION, *data).stdout
    again = suture("incident", "action-taken", "INC-1", "other", *data)
    assert again.exit_code == 1
    assert "recorded already" in again.stderr


def test_another_choice_is_held_against_the_first_one(suture, data, recommended):
    done = suture("incident", "action-taken", "INC-1", "service-down/failover", *data)
    assert done.stdout == "INC-1: service-down/failover; Suture would have begun with service-down/restart\n"
    assert "agreed 0 times, disagreed 1 time" in suture("autonomy", "show", *ACTION, *data).stdout


def test_what_was_no_candidate_is_refused(suture, data, recommended):
    done = suture("incident", "action-taken", "INC-1", "service-down/reboot", *data)
    assert done.exit_code == 2
    assert "say service-down/restart, service-down/failover or other" in done.stderr
