"""What a person ended is written down as well: what was tried in vain is worth knowing the next time."""

import pytest


@pytest.fixture
def suture(installation, make_runbook):
    make_runbook()
    suture = installation().start()
    suture.measure(0)
    return suture


def learned(suture, incident):
    return [
        entry.data["document"] for entry in suture.parts.incidents.get(incident).timeline if entry.kind == "learned"
    ]


def test_what_a_person_resolved_after_a_failed_attempt_is_found_by_the_next_incident(suture):
    first = suture.ended(suture.alert(), "escalated").id
    suture.parts.incidents.transition(first, "resolved", "emptied the disk", actor="ann")
    suture.until(lambda: learned(suture, first) or None, "no postmortem was written")
    suture.parts.remediation.tell_endings()
    assert learned(suture, first) == [first.lower()]
    # The failed attempt cost the action its level: a person is asked.
    second = suture.ended(suture.alert(service="warehouse"), "awaiting_approval").id
    [cited] = suture.parts.recommendations.latest(second).similar
    assert cited.document == first.lower()
    assert "resolved by ann: emptied the disk" in cited.quote
    assert "did not help" in cited.quote


def test_a_false_alarm_that_a_person_closed_is_not(suture):
    incident = suture.ended(suture.alert("NobodyKnowsThis"), "escalated").id
    suture.parts.incidents.transition(incident, "closed", "a false alarm", actor="ann")
    suture.until(lambda: None if suture.parts.incidents.tickets_owed() else True, "the ticket was not told")
    assert learned(suture, incident) == []
