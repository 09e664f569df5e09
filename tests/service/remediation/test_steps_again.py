"""A crash between a step's work and its record: the step runs again, and nothing is different from once."""

import pytest

from models.domain.execution import CancelRequest
from models.domain.execution import ExecutionState as E
from models.domain.incident import IncidentStatus as S
from service.store.keys import Role


@pytest.fixture
def suture(installation, make_runbook):
    def prepare(mode="auto", **runbook):
        make_runbook(**runbook)
        one = installation(mode=mode)
        one.parts.intake.start_detecting()
        one.parts.corpus.sync()
        one.parts.remediation.launch()  # without the loops that would take the incident
        one.measure(1)
        steps = one.parts.remediation.steps
        one.deciding, one.approving, one.starting = steps.deciding, steps.approving, steps.starting
        one.executing, one.endings = steps.executing, steps.endings
        one.incident = one.alert()
        one.plan = one.deciding.investigate(one.incident, 1)
        return one

    return prepare


def decide(suture):
    workflow = f"remediate-{suture.incident}-1"
    return suture.deciding.decide(suture.incident, 1, suture.plan["recommendation"], 0, 1, workflow)


def test_an_investigation_is_told_once_and_gives_the_same_plan(suture):
    one = suture()
    assert one.deciding.investigate(one.incident, 1) == one.plan
    kinds = [entry.kind for entry in one.parts.incidents.get(one.incident).timeline]
    assert kinds.count("recommended") == kinds.count("investigating") == 1


def test_a_decision_is_made_once_even_where_the_guard_would_now_say_otherwise(suture):
    one = suture()
    first = decide(one)
    one.parts.kill_switch.turn(True, "ann")
    assert decide(one) == first
    assert first["verdict"] == "permit"
    started = one.starting.start(first["execution"], 1)
    assert "kill switch" in started["reason"], "the standing orders are asked again before the start"


def test_what_was_forbidden_and_told_so_stays_forbidden_where_a_crash_came_before_that_was_recorded(suture):
    one = suture()
    one.parts.kill_switch.turn(True, "ann")
    first = decide(one)
    one.parts.kill_switch.turn(False, "ann")
    assert decide(one) == first
    assert "forbidden: the kill switch is on" in first["reason"]
    assert one.parts.executions.page() == []


def test_what_was_refused_before_the_start_stays_refused(suture):
    one = suture()
    execution = decide(one)["execution"]
    one.parts.kill_switch.turn(True, "ann")
    first = one.starting.start(execution, 1)
    one.parts.kill_switch.turn(False, "ann")
    assert one.starting.start(execution, 1) == first
    assert (first["started"], first["ending"]) == (False, "person")
    assert one.parts.executions.get(execution).state is E.FAILED


def test_the_kill_switch_holds_between_the_start_and_the_act(suture):
    one = suture()
    execution = decide(one)["execution"]
    assert one.starting.start(execution, 1)["started"]
    one.parts.kill_switch.turn(True, "ann")
    assert one.executing.act(execution, 1) == {"result": "failed", "detail": "nothing was done: the kill switch is on"}
    assert one.ledger() == []


def test_a_claimed_execution_goes_on(suture):
    one = suture()
    execution = decide(one)["execution"]
    assert one.starting.start(execution, 1) == one.starting.start(execution, 1) == {"started": True}
    assert one.executing.act(execution, 1) == one.executing.act(execution, 1) | {"detail": "done"}
    assert one.ledger() == ["shop"]


def test_a_rollback_is_done_once(suture):
    one = suture(rollback='rollback: {uses: ledger/write, with: {name: "undo"}}', reversible="true")
    execution = decide(one)["execution"]
    one.starting.start(execution, 1)
    one.executing.act(execution, 1)
    one.measure(0)
    verified = one.executing.verify(execution, 1)
    first = one.executing.roll_back(execution, verified)
    assert one.executing.roll_back(execution, verified) == first
    assert one.ledger() == ["shop", "undo"]
    assert one.parts.executions.get(execution).state is E.ROLLED_BACK


def test_endings_that_run_again_change_nothing(suture):
    one = suture()
    execution = decide(one)["execution"]
    one.starting.start(execution, 1)
    one.executing.act(execution, 1)
    verified = one.executing.verify(execution, 1)
    for _ in range(2):
        one.executing.succeeded(execution, verified)
        one.endings.learn(one.incident, 1)
    incident = one.parts.incidents.get(one.incident)
    assert incident.status is S.RESOLVED
    kinds = [entry.kind for entry in incident.timeline]
    assert kinds.count("verified") == kinds.count("learned") == kinds.count("resolved") == 1
    assert len(one.parts.executions.outcomes("fix-shop", "fix", "default")) == 1


def test_a_candidate_that_was_changed_after_its_decision_does_not_run(suture):
    from sqlalchemy import text

    one = suture()
    execution = decide(one)["execution"]
    with one.parts.database.write() as connection:
        connection.execute(
            text('UPDATE executions SET document = replace(document, \'"name": "shop"\', \'"name": "all"\')')
        )
    started = one.starting.start(execution, 1)
    assert not started["started"]
    assert "not the one that was decided on" in started["reason"]


def test_a_no_that_comes_after_a_yes_stops_what_has_not_started(suture):
    one = suture(mode="approve")
    execution = decide(one)["execution"]
    one.parts.approvals.give(execution, approved=True, by="ann", role=Role.APPROVER)
    assert one.approving.await_word(execution, 1) == "approved"
    one.parts.approvals.give(execution, approved=False, by="bob", role=Role.APPROVER)
    assert not one.starting.start(execution, 1)["started"]


def test_what_a_broken_remediation_had_begun_is_uncertain(suture):
    one = suture()
    execution = decide(one)["execution"]
    one.starting.start(execution, 1)
    one.executing.act(execution, 1)
    one.endings.abandon(one.incident, 1, "boom")
    one.endings.abandon(one.incident, 1, "boom")
    ended = one.parts.executions.get(execution)
    assert ended.state is E.UNCERTAIN
    assert ended.steps[-1].detail == "boom; it had begun to act, and nobody looked whether that helped"
    assert one.parts.incidents.get(one.incident).status is S.ESCALATED


def test_words_of_people_are_not_taken_where_the_execution_ended(suture):
    one = suture(mode="approve")
    execution = decide(one)["execution"]
    one.parts.executions.request_cancel(execution, CancelRequest(by="ann", at=one.parts.clock()))
    assert one.approving.await_word(execution, 1) == "cancelled"
    events = [(e.event, e.actor) for e in one.parts.audit.entries(limit=1000, subject=execution)]
    assert ("execution.cancelled", "ann") in events
