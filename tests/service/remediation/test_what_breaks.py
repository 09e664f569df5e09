"""What breaks ends in a person's hands with its reason, stops quickly, and continues where it was."""

import time

import pytest
from sqlalchemy.exc import OperationalError

from models.domain.execution import ExecutionState as E
from models.domain.incident import IncidentStatus as S
from service.evidence import EvidenceGatherer
from service.remediation.endings import Endings
from service.store.keys import Role


@pytest.fixture
def start(installation, database_url):
    def start(**changes):
        return installation(database_url=database_url, **changes).start()

    return start


def test_an_unexpected_error_hands_over_with_its_words(start, make_runbook, monkeypatch):
    def broken(self, incident):
        raise RuntimeError("the index is gone")

    monkeypatch.setattr(EvidenceGatherer, "gather", broken)
    make_runbook()
    suture = start()
    incident = suture.ended(suture.alert(), "escalated")
    assert incident.timeline[-1].text == "Suture could not go on: RuntimeError: the index is gone"


def test_an_error_after_the_act_leaves_it_uncertain_and_frees_the_target(start, make_runbook, monkeypatch):
    make_runbook()
    suture = start()
    monkeypatch.setattr("service.pipeline.verify", lambda *a, **k: 1 / 0)
    incident = suture.ended(suture.alert(), "escalated")
    [execution] = suture.executions(incident.id)
    assert execution.state is E.UNCERTAIN
    assert "ZeroDivisionError" in incident.timeline[-1].text
    assert suture.ledger() == ["shop"]


def test_an_incident_whose_workflow_died_is_handed_over(start, make_runbook, monkeypatch):
    make_runbook()
    suture = start()

    def broken(self, *arguments):
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(EvidenceGatherer, "gather", broken)
        patch.setattr(Endings, "abandon", broken)
        incident = suture.ended(suture.alert(), "investigating").id

        def dead():
            from dbos import DBOS

            status = DBOS.get_workflow_status(f"remediate-{incident}-1")
            return status if status and status.status == "ERROR" else None

        suture.until(dead, "the workflow did not fail")
    suture.parts.remediation.rescue()
    assert suture.parts.incidents.get(incident).timeline[-1].text == (
        "Suture could not go on: its remediation stopped (error)"
    )


def test_a_database_that_is_away_for_a_moment_is_waited_for(start, make_runbook, monkeypatch):
    make_runbook()
    suture = start()
    suture.measure(1)
    gather, failures = EvidenceGatherer.gather, [1, 2]

    def flaky(self, incident):
        if failures:
            failures.pop()
            raise OperationalError("SELECT 1", {}, Exception("connection lost"))
        return gather(self, incident)

    monkeypatch.setattr("service.remediation.workflow._PAUSES", (0.01,) * 5)
    monkeypatch.setattr(EvidenceGatherer, "gather", flaky)
    incident = suture.ended(suture.alert(), "resolved", "escalated")
    assert incident.status is S.RESOLVED
    assert suture.ledger() == ["shop"]


def test_a_candidate_that_did_not_help_is_followed_by_one_that_needs_approval(start, make_runbook):
    make_runbook("fix-shop", approval="always")
    make_runbook("fix-shop-otherwise", target="other", approval="always")
    suture = start()
    suture.measure(0)
    incident = suture.ended(suture.alert(), "awaiting_approval").id
    for count in (1, 2):

        def waiting(count=count):
            executions = suture.executions(incident)
            return executions[-1] if len(executions) == count and executions[-1].state is E.PENDING else None

        execution = suture.until(waiting, f"candidate {count} was not offered")
        suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    suture.ended(incident, "escalated")
    assert sorted(suture.ledger()) == ["other", "shop"]


def stopped_within(suture, seconds):
    began = time.monotonic()
    suture.stop()
    assert time.monotonic() - began < seconds


def test_it_stops_at_once_while_it_waits_for_people_and_continues(installation, database_url, make_runbook):
    make_runbook()
    suture = installation(database_url=database_url, mode="approve").start()
    suture.measure(1)
    incident = suture.ended(suture.alert(), "awaiting_approval").id
    stopped_within(suture, 3)
    again = installation(database_url=database_url, mode="approve").start()
    again.measure(1)
    [execution] = again.executions(incident)
    again.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    again.ended(incident, "resolved")
    assert again.ledger() == ["shop"]


def test_it_stops_at_once_while_it_verifies_and_acts_no_second_time(installation, database_url, make_runbook):
    make_runbook(within="20s")
    suture = installation(database_url=database_url).start()
    suture.measure(0)
    incident = suture.ended(suture.alert(), "verifying").id
    stopped_within(suture, 3)
    again = installation(database_url=database_url).start()
    again.measure(1)
    again.ended(incident, "resolved")
    assert again.ledger() == ["shop"]


def test_an_approved_act_that_a_restart_delayed_past_its_expiry_does_not_run(installation, database_url, make_runbook):
    make_runbook()
    suture = installation(database_url=database_url, mode="approve", approval_expires="2s").start()
    suture.measure(1)
    incident = suture.ended(suture.alert(), "awaiting_approval").id
    suture.stop()
    [execution] = suture.executions(incident)
    suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)
    time.sleep(2.1)
    again = installation(database_url=database_url, mode="approve", approval_expires="2s").start()
    again.ended(incident, "escalated")
    assert again.ledger() == []


def test_what_an_older_version_began_is_handed_over_after_the_upgrade(installation, make_runbook, monkeypatch):
    from service.remediation import durable

    make_runbook()
    monkeypatch.setattr(durable, "WORKFLOW_VERSION", "of-last-year")
    before = installation(mode="approve").start()
    incident = before.ended(before.alert(), "awaiting_approval").id
    before.stop()
    monkeypatch.undo()
    after = installation(mode="approve").start()
    told = after.ended(incident, "escalated").timeline[-1].text
    assert "begun by version of-last-year of the workflow" in told
    [execution] = after.executions(incident)
    assert (execution.state, after.ledger()) == ("cancelled", [])
