"""A limit in the way of a start: what is waited for, and who goes on where it does not let go."""

from datetime import timedelta

import pytest

from models.domain.execution import ExecutionState as E
from models.domain.execution import Outcome
from service.remediation import starting


@pytest.fixture
def suture(installation, make_runbook):
    def prepare(**limits):
        make_runbook()
        one = installation(limits=limits)
        one.parts.intake.start_detecting()
        one.parts.corpus.sync()
        one.parts.remediation.launch()  # without the loops that would take the incident
        one.measure(1)
        return one

    return prepare


def decided(one):
    """A new incident's first execution, which waits to start."""
    deciding = one.parts.remediation.steps.deciding
    incident = one.alert()
    plan = deciding.investigate(incident, 1)
    return deciding.decide(incident, 1, plan["recommendation"], 0, 1, f"remediate-{incident}-1")


def another(one, execution):
    """EXE-2: the same on another target, so that only a rate is in its way."""
    known = one.parts.executions.get(execution)
    candidate = known.candidate.model_copy(update={"target": "ledger:other"})
    decision = known.decision.model_copy(update={"candidate_hash": candidate.hash})
    changes = {"candidate": candidate, "decision": decision, "state": E.PENDING, "steps": (), "started_at": None}
    one.parts.executions.add(known.model_copy(update={"id": "EXE-2", **changes}), "remediate-INC-1-1")


def start(one, execution):
    return one.parts.remediation.steps.starting.start(execution, 1)


def maintained(one):
    now = one.parts.clock()
    return one.parts.maintenance.add(
        service="shop", environment="*", starts_at=now, ends_at=now + timedelta(hours=1), reason="disks", actor="ann"
    )


def test_what_holds_the_service_is_for_a_person_at_once_and_leaves_no_mark_on_the_action(suture):
    one = suture()
    execution = decided(one)["execution"]
    maintained(one)
    told = start(one, execution)
    assert (told["started"], told["ending"]) == (False, "person")
    assert "held: people work on shop until" in told["reason"]
    assert told["reason"].endswith("(maintenance MNT-1); nothing was done")
    assert start(one, execution) == told, "after a crash the same"
    stored = one.parts.executions.get(execution)
    assert (stored.state, stored.started_at) == (E.FAILED, None)
    assert one.parts.executions.outcomes("fix-shop", "fix", stored.candidate.environment) == []


def test_during_maintenance_incidents_are_opened_and_recommended_on_and_their_timelines_say_why_nothing_is_done(suture):
    one = suture()
    maintained(one)
    refused = decided(one)
    assert refused["execution"] is None
    [incident] = one.parts.incidents.page()
    told = {entry.kind: entry.text for entry in one.parts.incidents.get(incident.id).timeline}
    assert "Fix it with write" in told["recommended"]
    assert "people work on shop until" in told["decided"]
    assert one.ledger() == []


def test_what_holds_the_action_lets_the_next_candidate_try(suture):
    one = suture(breaker={"failures": 1, "cooldown": "1h"})
    execution = decided(one)["execution"]
    environment = one.parts.executions.get(execution).candidate.environment
    one.parts.executions.add_outcome(
        Outcome(
            execution="EXE-0", incident="INC-0", runbook="fix-shop", action="fix", uses="ledger/write",
            environment=environment, state=E.FAILED, verified=False, at=one.parts.clock(),
        )
    )  # fmt: skip
    told = start(one, execution)
    assert (told["started"], told["ending"]) == (False, "next")
    assert "held: fix-shop/fix failed the last time" in told["reason"]


def test_a_rate_that_soon_lets_go_is_waited_for(suture, monkeypatch):
    monkeypatch.setattr(starting, "_BUSY_SECONDS", 0.2)
    one = suture(rates=[{"count": 1, "per": "1s"}])
    first = decided(one)["execution"]
    assert start(one, first) == {"started": True}
    another(one, first)
    assert start(one, "EXE-2") == {"started": True}
    began = [one.parts.executions.get(each).started_at for each in (first, "EXE-2")]
    assert began[1] - began[0] >= timedelta(seconds=1)


def test_a_rate_that_holds_for_longer_than_is_waited_is_told_at_once(suture, monkeypatch):
    waited = []
    one = suture(rates=[{"count": 1, "per": "1h"}])
    first = decided(one)["execution"]
    assert start(one, first) == {"started": True}
    another(one, first)
    monkeypatch.setattr(one.parts.remediation.steps.starting, "_pause", waited.append)
    told = start(one, "EXE-2")
    assert (told["ending"], waited) == ("person", [])
    assert "held: 1 execution started in all within 1h, and 1 may; the next one from" in told["reason"]
