"""A person stops an execution, wherever it is: what was not begun does not begin, what was done is undone."""

import pytest

from models.domain.execution import CancelRequest
from models.domain.execution import ExecutionState as E

UNDO = {"rollback": 'rollback: {uses: ledger/write, with: {name: "undo"}}', "reversible": "true"}


@pytest.fixture
def running(installation, make_runbook):
    """An installation whose one execution runs, with its steps at hand but no loop that would take them."""

    def prepare(**runbook):
        make_runbook(**runbook)
        one = installation()
        one.parts.intake.start_detecting()
        one.parts.corpus.sync()
        one.parts.remediation.launch()
        one.measure(0)
        one.steps = one.parts.remediation.steps
        one.incident = one.alert()
        plan = one.steps.deciding.investigate(one.incident, 1)
        decided = one.steps.deciding.decide(one.incident, 1, plan["recommendation"], 0, 1, "workflow")
        one.execution = decided["execution"]
        assert one.steps.starting.start(one.execution, 1)["started"]
        return one

    return prepare


def cancel(one):
    wish = CancelRequest(by="ann", at=one.parts.clock(), reason="wrong host")
    return one.parts.executions.request_cancel(one.execution, wish)


@pytest.mark.parametrize(("step", "arguments"), [("rehearse", ()), ("act", (1,))])
def test_before_the_act_nothing_is_done(running, step, arguments):
    one = running()
    cancel(one)
    acted = getattr(one.steps.executing, step)(one.execution, *arguments)
    assert acted == {"result": "cancelled", "detail": "cancelled by ann (wrong host) before anything was done"}
    one.steps.executing.cancelled(one.execution, acted["detail"])
    assert one.parts.executions.get(one.execution).state is E.CANCELLED
    assert one.ledger() == []


def test_after_the_act_it_is_rolled_back_and_a_person_has_the_incident(running):
    one = running(within="60s", **UNDO)
    one.steps.executing.act(one.execution, 1)
    cancel(one)
    verified = one.steps.executing.verify(one.execution, 1)
    assert verified["cancelled"] == "cancelled by ann (wrong host)"
    back = one.steps.executing.roll_back(one.execution, verified)
    assert back["ending"] == "person"
    assert one.ledger() == ["shop", "undo"]
    assert one.parts.executions.get(one.execution).state is E.ROLLED_BACK
    assert one.parts.executions.outcomes("fix-shop", "fix", "default") == [], "it says nothing of the action"


def test_after_an_act_that_has_no_rollback_a_person_is_told_so(running):
    one = running()
    one.steps.executing.act(one.execution, 1)
    cancel(one)
    back = one.steps.executing.roll_back(one.execution, one.steps.executing.verify(one.execution, 1))
    assert back["ending"] == "person"
    assert "after the act, which was not verified; the runbook has no rollback" in back["detail"]
    assert one.parts.executions.get(one.execution).state is E.CANCELLED


def test_a_verification_that_goes_on_ends_when_a_person_stops_it(installation, make_runbook):
    make_runbook(within="300s", **UNDO)
    suture = installation().start()
    suture.measure(0)
    incident = suture.ended(suture.alert(), "verifying")
    [execution] = suture.executions(incident.id)
    wish = CancelRequest(by="ann", at=suture.parts.clock())
    assert suture.parts.executions.request_cancel(execution.id, wish).state is E.VERIFYING
    ended = suture.ended(incident.id, "escalated")
    [execution] = suture.executions(incident.id)
    assert execution.state is E.ROLLED_BACK
    assert suture.ledger() == ["shop", "undo"]
    assert "cancelled by ann" in ended.timeline[-1].text
    events = [(one.event, one.actor) for one in suture.parts.audit.entries(limit=1000, subject=execution.id)]
    assert ("execution.cancel-requested", "ann") in events
