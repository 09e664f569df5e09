"""When every candidate was tried, Suture looks again: what came to light meanwhile may speak for something else."""

import pytest

from models.domain.execution import ExecutionState as E
from service.guard.replay import Recordings


@pytest.fixture
def start(installation, make_runbook, make_settings, database_url):
    """One runbook for the first alert and one for another that comes later; neither knows of the other's."""
    make_runbook("fix-shop", alert="ShopBroken", target="first", within="3s", verb="write")
    make_runbook("fix-queue", title="Queue is full", alert="QueueFull", target="second", within="10s")

    def start(policy="", **changes):
        (make_settings().policies / "more.cedar").write_text(policy)
        one = installation(database_url=database_url, **changes).start()
        one.measure(0)
        return one

    return start


def acted(one, count):
    return one.until(lambda: one.ledger() if len(one.ledger()) == count else None, f"{count} acts were not done")


def recommended(one, incident):
    timeline = one.parts.incidents.get(incident).timeline
    return [entry.data["recommendation"] for entry in timeline if entry.kind == "recommended"]


def test_a_symptom_that_came_during_a_failed_attempt_brings_its_own_candidate(start):
    one = start()
    incident = one.alert()
    acted(one, 1)
    assert one.alert("QueueFull") == incident
    acted(one, 2)
    one.measure(1)
    one.ended(incident, "resolved")
    assert one.ledger() == ["first", "second"]
    assert [execution.state for execution in one.executions(incident)] == [E.FAILED, E.SUCCEEDED]
    assert recommended(one, incident) == ["REC-1-1", "REC-1-1-2"]


def test_nothing_is_tried_twice_and_no_recommendation_is_told_that_offers_nothing_new(start):
    one = start()
    incident = one.ended(one.alert(), "escalated")
    assert one.ledger() == ["first"]
    assert recommended(one, incident.id) == ["REC-1-1"]


def test_where_no_more_may_be_tried_nothing_is_looked_for(start):
    one = start(max_attempts=1)
    incident = one.alert()
    acted(one, 1)
    one.alert("QueueFull")
    ended = one.ended(incident, "escalated")
    assert one.ledger() == ["first"]
    assert "not healthy" in ended.timeline[-1].text
    assert ended.timeline[-1].text.endswith("more attempts than 1 are not allowed")


def test_a_decision_of_a_later_look_is_found_again(start):
    one = start('@id("not-twice") forbid (principal, action, resource) when { context.runbook == "fix-queue" };')
    incident = one.alert()
    acted(one, 1)
    one.alert("QueueFull")
    one.ended(incident, "escalated")
    parts = one.parts
    found = Recordings(parts.incidents, parts.executions, parts.recommendations).of(incident)
    assert [(each.execution, each.candidate.runbook, str(each.decision.verdict)) for each in found] == [
        ("EXE-1-1-1", "fix-shop", "permit"), ("EXE-1-1-2", "fix-queue", "forbid"),
    ]  # fmt: skip
