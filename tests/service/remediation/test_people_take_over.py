"""A person ends or takes an incident while Suture works on it: what was begun is finished, nothing else is touched."""

import pytest

from models.domain.execution import ExecutionState as E
from models.domain.incident import IncidentStatus as S
from service.regrouping import Regrouping
from service.store.keys import Role


@pytest.fixture
def start(installation, database_url):
    def start(**changes):
        return installation(database_url=database_url, **changes).start()

    return start


def ticket_of(suture, incident):
    reference = suture.parts.incidents.ticket(incident)
    return suture.parts.ticketing.get_ticket(reference) if reference else None


def ended_execution(suture, incident):
    def found():
        executions = suture.executions(incident)
        return executions[-1] if executions and executions[-1].ended_at else None

    return suture.until(found, "the execution did not end")


def workflow_is_over(suture, incident, how="SUCCESS"):
    from dbos import DBOS

    def over():
        status = DBOS.get_workflow_status(f"remediate-{incident}-1")
        return status.status if status and status.status != "PENDING" else None

    assert suture.until(over, "the workflow did not end") == how


@pytest.mark.parametrize("taken", [S.CLOSED, S.ESCALATED])
def test_while_it_is_verified_the_execution_is_finished_and_the_incident_stays_the_persons(start, make_runbook, taken):
    make_runbook(within="3s")
    suture = start()
    suture.measure(0)
    incident = suture.ended(suture.alert(), "verifying").id
    suture.parts.incidents.transition(incident, taken, "I do it", actor="ann")
    suture.measure(1)
    assert ended_execution(suture, incident).state is E.SUCCEEDED
    workflow_is_over(suture, incident)
    assert suture.parts.incidents.get(incident).status is taken
    assert [outcome.verified for outcome in suture.parts.executions.outcomes("fix-shop", "fix", "default")] == [True]


@pytest.mark.parametrize("taken", [S.CLOSED, S.RESOLVED, S.ESCALATED])
def test_while_it_waits_for_people_the_execution_is_cancelled(start, make_runbook, taken):
    """Also where only the status was changed: the process that took the person's word died right after."""
    make_runbook()
    suture = start(mode="approve")
    suture.measure(1)
    incident = suture.ended(suture.alert(), "awaiting_approval").id
    suture.parts.incidents.transition(incident, taken, "I do it", actor="ann")
    assert ended_execution(suture, incident).state is E.CANCELLED
    workflow_is_over(suture, incident)
    assert suture.parts.incidents.get(incident).status is taken
    assert suture.ledger() == []


def test_nobody_is_asked_any_more_about_what_is_over(start, make_runbook):
    make_runbook()
    suture = start(mode="approve", resolve_after="1ms")
    suture.measure(1)
    incident = suture.ended(suture.alert(), "awaiting_approval").id
    suture.parts.intake.resolve_quiet()
    assert suture.parts.incidents.get(incident).status is S.AWAITING_APPROVAL, "an alert that was sent once"
    suture.alert(status="resolved")
    suture.ended(incident, "resolved")
    assert ended_execution(suture, incident).state is E.CANCELLED
    workflow_is_over(suture, incident)
    assert suture.ledger() == []


def test_between_the_approval_and_the_act_nothing_is_begun(start, make_runbook, monkeypatch):
    make_runbook()
    suture = start(mode="approve")
    suture.measure(1)
    incident = suture.ended(suture.alert(), "awaiting_approval").id
    claim = type(suture.parts.executions).transition

    def taken_first(self, identifier, to, *arguments, **changes):
        if to is E.RUNNING:
            suture.parts.incidents.transition(incident, S.CLOSED, "I do it", actor="ann")
        return claim(self, identifier, to, *arguments, **changes)

    monkeypatch.setattr(type(suture.parts.executions), "transition", taken_first)
    [execution] = suture.executions(incident)
    suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    assert ended_execution(suture, incident).state is E.CANCELLED
    workflow_is_over(suture, incident)
    assert suture.parts.incidents.get(incident).status is S.CLOSED
    assert suture.ledger() == []


def test_an_incident_that_was_closed_before_anyone_looked_is_left_alone(start, make_runbook, monkeypatch):
    make_runbook()
    suture = start()
    seen = suture.parts.incidents.episodes

    def late(statuses):
        found = seen(statuses)
        for incident, _ in found:
            suture.parts.incidents.transition(incident, S.CLOSED, "a test alert", actor="ann")
        return found

    monkeypatch.setattr(suture.parts.incidents, "episodes", late)
    incident = suture.alert()
    workflow_is_over(suture, incident)
    assert suture.parts.incidents.get(incident).status is S.CLOSED
    assert ticket_of(suture, incident) is None


@pytest.mark.parametrize(
    ("to", "words"), [(S.CLOSED, "is closed by ann: by hand"), (S.RESOLVED, "is resolved by ann: by hand")]
)
def test_the_ticket_is_closed_with_the_persons_reason(start, to, words):
    suture = start()
    incident = suture.ended(suture.alert("NobodyKnowsThis"), "escalated").id

    def handed_over():
        ticket = ticket_of(suture, incident)
        told = "\n".join(comment.text for comment in ticket.comments) if ticket else ""
        return ticket if "**A person must act.** No runbook" in told else None

    suture.until(handed_over, "the ticket does not ask for a person")
    suture.parts.incidents.transition(incident, to, "by hand", actor="ann")

    def closed():
        ticket = ticket_of(suture, incident)
        return ticket if ticket and ticket.status == "closed" else None

    assert words in suture.until(closed, "the ticket was not closed").resolution


def test_an_incident_that_goes_quiet_closes_its_ticket(start):
    suture = start(resolve_after="1ms")
    incident = suture.ended(suture.alert("NobodyKnowsThis"), "resolved").id

    def closed():
        ticket = ticket_of(suture, incident)
        return ticket.resolution if ticket and ticket.status == "closed" else None

    assert "went quiet" in suture.until(closed, "the ticket was not closed")


def test_an_incident_that_a_person_escalates_at_once_gets_a_ticket(installation, database_url):
    suture = installation(database_url=database_url)
    suture.parts.intake.start_detecting()
    incident = suture.alert()
    suture.parts.incidents.transition(incident, S.ESCALATED, "mine", actor="ann")
    suture.start("worker")
    ticket = suture.until(lambda: ticket_of(suture, incident), "no ticket was opened")
    assert ticket.incident == incident


def test_observe_opens_a_ticket_and_tells_nobody_what_it_would_do(start, make_runbook):
    make_runbook()
    suture = start(mode="observe")
    suture.measure(1)
    incident = suture.ended(suture.alert(), "escalated")
    assert "is in mode observe" in incident.timeline[-1].text
    ticket = suture.until(lambda: ticket_of(suture, incident.id), "no ticket was opened")
    told = suture.until(lambda: ticket_of(suture, incident.id).comments or None, "the ticket was not told")
    assert ticket.status == "open"
    assert "ecommend" not in "\n".join(comment.text for comment in told)
    assert "recommended" not in [entry.kind for entry in incident.timeline]
    # It is made: what people do is compared with it.
    assert [e for e in suture.parts.audit.entries(limit=1000) if e.event == "recommendation.made"]
    assert (suture.executions(incident.id), suture.ledger()) == ([], [])


def test_suggest_recommends_and_never_acts(start, make_runbook):
    make_runbook()
    suture = start(mode="suggest")
    suture.measure(1)
    incident = suture.ended(suture.alert(), "escalated")
    assert "is in mode suggest" in incident.timeline[-1].text
    assert suture.parts.recommendations.latest(incident.id).candidates
    assert (suture.executions(incident.id), suture.ledger()) == ([], [])


def test_what_is_merged_into_another_incident_waits_for_nobody_and_both_tickets_say_so(start, make_runbook):
    make_runbook()
    suture = start(mode="approve")
    suture.measure(1)
    merged = suture.ended(suture.alert(), "awaiting_approval").id
    home = suture.ended(suture.alert("NobodyKnowsThis", service="other"), "escalated").id
    suture.until(lambda: ticket_of(suture, merged) and ticket_of(suture, home), "no tickets were opened")
    parts = suture.parts
    regrouping = Regrouping(parts.database, parts.incidents, parts.executions, parts.topology, parts.clock)
    regrouping.merge(home, [merged], "one cause", "ann")
    assert ended_execution(suture, merged).state is E.CANCELLED
    workflow_is_over(suture, merged)
    assert suture.parts.incidents.get(merged).status is S.CLOSED

    def told():
        gone, stays = ticket_of(suture, merged), ticket_of(suture, home)
        return (
            gone.status == "closed" and f"merged into {home}" in gone.resolution and "Merged by" in str(stays.comments)
        )

    suture.until(told, "the tickets were not told")
    assert suture.ledger() == []
