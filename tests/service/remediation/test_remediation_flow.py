"""Whole remediations on real DBOS, on both databases; effects are counted in the ledger that the target keeps."""

import pytest
from suture_test_plugin import Ledger

from models.domain.execution import CancelRequest
from models.domain.execution import ExecutionState as E
from service.ports import Effect, ExecutorError
from service.store.keys import Role


@pytest.fixture
def start(installation, database_url):
    def start(**changes):
        return installation(database_url=database_url, **changes).start()

    return start


def test_a_permitted_action_runs_once_and_verified_health_resolves_the_incident(start, make_runbook):
    make_runbook()
    suture = start()
    suture.measure(1)
    incident = suture.ended(suture.alert(), "resolved", "escalated")
    assert incident.status == "resolved"
    assert suture.ledger() == ["shop"]
    [execution] = suture.executions(incident.id)
    assert execution.state is E.SUCCEEDED
    assert [(step.name, step.state) for step in execution.steps] == [
        ("preconditions", "done"), ("dry-run", "done"), ("act", "started"), ("act", "done"), ("act", "done"),
        ("verify", "done"),
    ]  # fmt: skip
    assert suture.parts.audit.verify().breaks == ()


def test_where_the_target_gives_up_health_is_measured_once_and_not_waited_for(start, make_runbook, monkeypatch):
    make_runbook(within="10m")
    suture = start()
    suture.measure(0)
    write = Ledger.act

    def dies(self, call):
        write(self, call)
        raise ExecutorError("shop did not stay up: FATAL", effect=Effect.HAPPENED, final=True)

    monkeypatch.setattr(Ledger, "act", dies)
    incident = suture.ended(suture.alert(), "escalated")
    [execution] = suture.executions(incident.id)
    assert execution.state is E.FAILED
    assert execution.verification.health == "not_healthy"
    assert any("did not stay up" in step.detail for step in execution.steps)


def test_the_ticket_tells_the_whole_story_and_is_closed(start, make_runbook):
    make_runbook()
    suture = start()
    suture.measure(1)
    incident = suture.ended(suture.alert(), "resolved")

    def closed():
        reference = suture.parts.incidents.ticket(incident.id)
        ticket = suture.parts.ticketing.get_ticket(reference) if reference else None
        return ticket if ticket and ticket.status == "closed" else None

    ticket = suture.until(closed, "the ticket was not closed")
    story = "\n".join(comment.text for comment in ticket.comments)
    assert "ShopBroken" in ticket.body
    assert story.index("Recommended") < story.index("permitted") < story.index("Execution EXE-1-1-1")
    assert "healthy" in story


def test_the_postmortem_is_in_the_corpus_and_the_next_similar_incident_finds_it(start, make_runbook):
    make_runbook()
    suture = start()
    suture.measure(1)
    first = suture.alert()

    def learned():
        return next((entry for entry in suture.parts.incidents.get(first).timeline if entry.kind == "learned"), None)

    assert suture.until(learned, "no postmortem was written").data == {"document": first.lower()}
    second = suture.ended(suture.alert(service="warehouse"), "resolved")
    assert second.id != first
    similar = suture.parts.recommendations.latest(second.id).similar
    assert [citation.document for citation in similar] == [first.lower()]
    [document] = [d for d in suture.parts.corpus.documents() if d.id == first.lower()]
    assert all(document.text[c.start : c.end] == c.quote for c in similar)


def test_nothing_runs_before_a_person_says_yes(start, make_runbook):
    make_runbook()
    suture = start(mode="approve")
    suture.measure(1)
    incident = suture.ended(suture.alert(), "awaiting_approval")
    [execution] = suture.executions(incident.id)
    assert suture.ledger() == []
    suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    suture.ended(incident.id, "resolved")
    assert suture.ledger() == ["shop"]


def test_a_no_goes_to_the_next_candidate_and_then_to_a_person(start, make_runbook):
    make_runbook("fix-shop")
    make_runbook("fix-shop-otherwise", target="other")
    suture = start(mode="approve")
    incident = suture.ended(suture.alert(), "awaiting_approval").id
    for count in (1, 2):
        waiting = suture.until(
            lambda count=count: _waiting(suture, incident, count), f"candidate {count} was not offered"
        )
        suture.parts.approvals.give(waiting.id, approved=False, by="ann", role=Role.APPROVER)
    suture.ended(incident, "escalated")
    assert suture.ledger() == []
    assert [execution.state for execution in suture.executions(incident)] == [E.CANCELLED, E.CANCELLED]


def _waiting(suture, incident, count):
    executions = suture.executions(incident)
    return executions[-1] if len(executions) == count and executions[-1].state is E.PENDING else None


def test_an_approval_that_never_comes_hands_over_to_a_person(start, make_runbook):
    make_runbook()
    suture = start(mode="approve", approval_expires="300ms")
    incident = suture.ended(suture.alert(), "escalated", seconds=40)
    assert suture.ledger() == []
    assert "nobody decided" in incident.timeline[-1].text


def test_a_cancelled_execution_never_runs(start, make_runbook):
    make_runbook()
    suture = start(mode="approve")
    incident = suture.ended(suture.alert(), "awaiting_approval")
    [execution] = suture.executions(incident.id)
    suture.parts.executions.request_cancel(execution.id, CancelRequest(by="ann", at=suture.parts.clock()))
    suture.ended(incident.id, "escalated")
    assert suture.ledger() == []


def test_what_needs_no_mending_is_not_recommended(start, make_runbook):
    make_runbook(precondition='{query: "healthy", is: "== 0"}')
    suture = start()
    suture.measure(1)
    incident = suture.ended(suture.alert(), "escalated")
    assert suture.executions(incident.id) == []
    assert (
        "its precondition, which does not hold now" in suture.parts.recommendations.latest(incident.id).abstained.reason
    )


def test_a_precondition_that_became_false_meanwhile_stops_an_approved_act(start, make_runbook):
    make_runbook(precondition='{query: "healthy", is: "== 0"}')
    suture = start(mode="approve")
    suture.measure(0)
    incident = suture.ended(suture.alert(), "awaiting_approval")
    suture.measure(1)
    [execution] = suture.executions(incident.id)
    suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    suture.ended(incident.id, "escalated")
    assert suture.ledger() == []
    [execution] = suture.executions(incident.id)
    assert execution.state is E.FAILED
    assert "precondition `healthy == 0` does not hold" in execution.steps[-1].detail


def test_a_precondition_that_cannot_be_measured_is_not_taken_for_true(start, make_runbook):
    make_runbook(precondition='{query: "label_join(never_supported)", is: "== 0"}')
    suture = start(mode="approve")
    incident = suture.ended(suture.alert(), "awaiting_approval")
    [execution] = suture.executions(incident.id)
    suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    suture.ended(incident.id, "escalated")
    assert suture.ledger() == []


def test_what_does_not_help_is_rolled_back_and_the_next_candidate_is_tried(start, make_runbook):
    make_runbook("fix-shop", rollback='rollback: {uses: ledger/write, with: {name: "undo"}}', reversible="true")
    make_runbook("fix-shop-otherwise", target="other")
    suture = start()
    suture.measure(0)
    incident = suture.ended(suture.alert(), "escalated")
    states = {execution.candidate.runbook: execution.state for execution in suture.executions(incident.id)}
    assert states == {"fix-shop": E.ROLLED_BACK, "fix-shop-otherwise": E.FAILED}
    assert sorted(suture.ledger()) == ["other", "shop", "undo"]
    outcomes = suture.parts.executions.outcomes("fix-shop", "fix", "default")
    assert [outcome.verified for outcome in outcomes] == [False]


def test_an_act_that_fails_without_effect_ends_failed(start, make_runbook):
    make_runbook(verb="refuse")
    suture = start()
    incident = suture.ended(suture.alert(), "escalated")
    assert suture.executions(incident.id)[0].state is E.FAILED


def test_an_act_that_may_have_happened_is_uncertain_and_goes_to_a_person_at_once(start, make_runbook):
    make_runbook("fix-shop", verb="doubt")
    make_runbook("fix-shop-otherwise", target="other")
    suture = start()
    incident = suture.ended(suture.alert(), "escalated")
    executions = suture.executions(incident.id)
    uncertain = [execution for execution in executions if execution.state is E.UNCERTAIN]
    assert len(uncertain) == 1
    assert uncertain[-1].id == executions[-1].id, "nothing is tried after an uncertain act"
    assert suture.ledger().count("shop") == 1


def test_the_kill_switch_stops_an_execution_that_was_approved_already(start, make_runbook):
    make_runbook()
    suture = start(mode="approve")
    incident = suture.ended(suture.alert(), "awaiting_approval")
    suture.parts.kill_switch.turn(True, "ann")
    [execution] = suture.executions(incident.id)
    suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    incident = suture.ended(incident.id, "escalated")
    assert suture.ledger() == []
    assert "kill switch" in incident.timeline[-1].text


def test_without_a_runbook_nothing_is_done_and_the_reason_is_told(start):
    suture = start()
    incident = suture.ended(suture.alert("NobodyKnowsThis"), "escalated")
    assert suture.parts.recommendations.latest(incident.id).abstained is not None
    assert "No runbook" in incident.timeline[-1].text


def test_a_later_telling_signal_is_a_reason_to_look_again(start, make_runbook):
    make_runbook()
    suture = start()
    suture.measure(1)
    incident = suture.ended(suture.alert("SomethingOdd"), "escalated")
    assert suture.ledger() == []
    assert suture.alert("ShopBroken") == incident.id
    again = suture.ended(incident.id, "resolved")
    assert (again.episode, suture.ledger()) == (2, ["shop"])


def test_what_was_handed_over_stays_so_without_a_new_reason(start, make_runbook):
    make_runbook(alert="SomethingElse")
    suture = start()
    incident = suture.ended(suture.alert("SomethingOdd"), "escalated")
    suture.alert("SomethingOdder")
    suture.alert("SomethingOdd")
    suture.parts.remediation.look_again()
    after = suture.parts.incidents.get(incident.id)
    assert (after.status, after.episode) == ("escalated", 1)


def test_a_target_has_one_active_execution_at_most(start, make_runbook):
    """Two incidents want the same target; the second waits until the first has ended."""
    make_runbook(within="60s")
    suture = start()
    suture.measure(0)
    first = suture.alert(service="shop")
    suture.ended(first, "verifying")
    second = suture.alert(service="warehouse")
    assert first != second
    suture.until(lambda: suture.executions(second) or None, "the second one was not decided on")
    suture.measure(1)
    suture.ended(second, "resolved", seconds=30)
    spans = sorted((e.started_at, e.ended_at) for i in (first, second) for e in suture.executions(i))
    assert spans[0][1] <= spans[1][0]
