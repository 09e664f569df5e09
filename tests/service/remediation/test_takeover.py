"""What a dead replica left: continued by another one, or handed over where no replica has its code any more."""

import threading

import pytest
from sqlalchemy import update

from models.domain.errors import BadInput
from service.remediation import durable, workflow
from service.remediation.interruption import Stopped
from service.remediation.tickets import TicketOutbox
from service.store.keys import Role
from service.store.replicas import Replicas
from service.store.tables import replicas


@pytest.fixture
def start(installation, database_url, tmp_path):
    """Starts an installation on the shared database, with a state folder of its own."""

    (tmp_path / "secret").write_text("shared by the replicas")
    shared = {"database_url": database_url, "signing_key": f"file:{tmp_path / 'secret'}", "mode": "approve"}

    def start(name):
        return installation(state_dir=tmp_path / name, **shared).start()

    return start


@pytest.fixture
def killed(monkeypatch):
    """Ends an installation so that the database hears nothing of it, as SIGKILL does."""

    def killed(suture):
        with monkeypatch.context() as patch:
            patch.setattr(Replicas, "leave", lambda *_: None)
            patch.setattr(workflow, "_STOP_SECONDS", 0.1)
            suture.stop()

    return killed


def silence(suture, identity):
    """Lets a replica's last sign of life be older than its lease."""
    with suture.parts.database.write() as connection:
        earlier = update(replicas).where(replicas.c.identity == identity)
        connection.execute(earlier.values(beat_at=replicas.c.beat_at - 31))


def approve(suture, incident):
    [execution] = suture.executions(incident)
    suture.parts.approvals.give(execution.id, approved=True, by="ann", role=Role.APPROVER)


def test_another_replica_continues_once_the_lease_is_over_and_not_before(start, killed, make_runbook):
    make_runbook()
    one = start("one")
    incident = one.ended(one.alert(), "awaiting_approval").id
    identity = one.parts.remediation.replica.identity
    killed(one)
    other = start("other")
    other.measure(1)
    approve(other, incident)
    other.parts.remediation.take_over()
    other.parts.remediation.continue_orphans()
    other.parts.remediation.rescue()
    assert other.parts.incidents.get(incident).status == "awaiting_approval", "the other one may be alive"
    silence(other, identity)
    other.parts.remediation.take_over()
    other.ended(incident, "resolved")
    assert other.ledger() == ["shop"]
    [entry] = [each for each in other.parts.audit.entries(limit=1000) if each.event == "replica.taken-over"]
    assert (entry.subject, entry.data["by"]) == (identity, other.parts.remediation.replica.identity)


@pytest.mark.parametrize("version", ["of-last-year", None], ids=["upgraded", "same version"])
def test_its_ticket_updates_are_delivered_in_their_order(start, killed, make_runbook, monkeypatch, version):
    make_runbook()
    delivering, gate = threading.Event(), threading.Event()

    def cut_off(*_):
        delivering.set()
        gate.wait(30)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(TicketOutbox, "_deliver", cut_off)
        patch.setattr(durable, "WORKFLOW_VERSION", version or durable.WORKFLOW_VERSION)
        one = start("one")
        incident = one.ended(one.alert(), "awaiting_approval").id
        assert delivering.wait(20)
        identity = one.parts.remediation.replica.identity
        killed(one)
        gate.set()
    other = start("other")
    silence(other, identity)
    other.parts.remediation.take_over()

    def told():
        reference = other.parts.incidents.ticket(incident)
        ticket = other.parts.ticketing.get_ticket(reference) if reference else None
        return ticket if ticket and len(ticket.comments) == 2 else None

    comments = other.until(told, "the ticket was not written").comments
    assert "suture approve" in comments[1].text


def test_a_version_is_handed_over_only_when_no_replica_runs_it(start, killed, make_runbook, monkeypatch):
    make_runbook()
    with monkeypatch.context() as patch:
        patch.setattr(durable, "WORKFLOW_VERSION", "of-last-year")
        old = start("old")
        incident = old.ended(old.alert(), "awaiting_approval").id
        identity = old.parts.remediation.replica.identity
        killed(old)
    new = start("new")
    new.parts.remediation.rescue()
    assert new.parts.incidents.get(incident).status == "awaiting_approval", "the old replica still works on it"
    silence(new, identity)
    new.parts.remediation.take_over()
    new.parts.remediation.rescue()
    told = new.ended(incident, "escalated").timeline[-1].text
    assert "begun by version of-last-year of the workflow" in told


def test_a_replica_without_the_signing_key_of_the_installation_does_not_start(installation, new_postgres_database):
    shared = {"database_url": new_postgres_database(), "mode": "approve"}
    first = installation(**shared)
    first.parts.kill_switch.turn(True, "ann")
    with pytest.raises(BadInput, match="set SUTURE_SIGNING_KEY"):
        installation(state_dir=first.parts.settings.state_dir / "another", **shared)
    assert first.parts.audit.verify().breaks == ()
