"""A person has an incident and asks Suture for one action; people who are waited for are reminded."""

import pytest

from models.domain.errors import Conflict
from models.domain.execution import ExecutionState as E
from models.domain.incident import Request

ASKED = Request(runbook="fix-shop", action="fix", by="ann")


def handed_over_again(one):
    def look():
        incident = one.parts.incidents.get(one.incident)
        return incident if (incident.episode, incident.status) == (2, "escalated") else None

    return one.until(look, "it was not handed over again")


@pytest.fixture
def suture(installation, make_runbook):
    def start(alert, **changes):
        make_runbook(alert="AnotherAlert")
        one = installation(**changes).start()
        one.measure(1)
        one.incident = one.ended(one.alert(alert), "escalated").id
        return one

    return start


def test_what_a_person_asks_for_is_done_however_improbable_and_verified(suture):
    one = suture("NothingKnown")
    asked = one.parts.incidents.request(one.incident, ASKED)
    assert (asked.episode, asked.requested) == (2, ASKED)
    ended = one.ended(one.incident, "resolved")
    [execution] = one.executions(one.incident)
    assert (execution.state, execution.requested_by) == (E.SUCCEEDED, "ann")
    assert one.ledger() == ["shop"]
    assert any("ann asks for fix-shop/fix" in entry.text for entry in ended.timeline)


def test_the_guard_decides_on_it_as_on_any_other(suture):
    one = suture("NothingKnown", mode="approve")
    one.parts.incidents.request(one.incident, ASKED)
    one.ended(one.incident, "awaiting_approval")
    with pytest.raises(Conflict, match="cancel or reject what waits first"):
        one.parts.incidents.request(one.incident, ASKED)
    assert one.ledger() == []


def test_where_suture_does_not_act_it_does_not_when_asked(suture):
    one = suture("NothingKnown", mode="suggest")
    one.parts.incidents.request(one.incident, ASKED)
    ended = handed_over_again(one)
    assert "in mode suggest" in ended.timeline[-1].text
    assert one.executions(one.incident) == []


def test_what_cannot_be_bound_is_told_with_the_reason(suture, make_runbook):
    one = suture("NothingKnown")
    make_runbook("needs-more", target="{{ nowhere }}")
    one.parts.corpus.sync()
    one.parts.incidents.request(one.incident, Request(runbook="needs-more", action="fix", by="ann"))
    ended = handed_over_again(one)
    assert "needs-more/fix, which ann asked for, cannot be run on this incident" in ended.timeline[-1].text


def test_people_are_reminded_and_then_an_admin_is_asked_too(installation, make_runbook):
    make_runbook()
    approvals = {"remind_after": "100ms", "escalate_after": "300ms"}
    one = installation(mode="approve", approvals=approvals).start()
    one.measure(1)
    incident = one.ended(one.alert(), "awaiting_approval").id

    def told():
        kinds = [entry.kind for entry in one.parts.incidents.get(incident).timeline]
        return kinds if "escalation" in kinds else None

    kinds = one.until(told, "nobody was reminded")
    assert (kinds.count("reminder"), kinds.count("escalation")) == (1, 1)
    assert kinds.index("reminder") < kinds.index("escalation")
    text = next(e.text for e in one.parts.incidents.get(incident).timeline if e.kind == "escalation")
    assert "still waits for an admin" in text
    assert "suture approve EXE-1-1-1" in text


def test_no_reminder_comes_after_the_time_to_decide(installation, make_runbook):
    make_runbook()
    one = installation(mode="approve", approval_expires="500ms").start()
    one.measure(1)
    ended = one.ended(one.alert(), "escalated")
    assert not {"reminder", "escalation"} & {entry.kind for entry in ended.timeline}
