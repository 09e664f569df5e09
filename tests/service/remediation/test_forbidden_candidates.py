"""What the guard forbids was not tried: it uses up no attempt, and its reason is not hidden behind what comes after."""

import pytest

from models.domain.execution import ExecutionState as E
from models.domain.execution import Outcome

CANDIDATES = ("fix-shop-a", "fix-shop-b", "fix-shop-c")


@pytest.fixture
def suture(installation, make_runbook, make_settings):
    for name in CANDIDATES:
        make_runbook(name, target=name)

    def prepare(policy="", **changes):
        if policy:
            (make_settings().policies / "more.cedar").write_text(policy)
        return installation(**changes).start()

    return prepare


def decisions(one, incident):
    return [entry.text for entry in one.parts.incidents.get(incident).timeline if entry.kind == "decided"]


def test_what_is_forbidden_uses_up_no_attempt(suture):
    only_c = '@id("only-c") forbid (principal, action, resource) unless { context.runbook == "fix-shop-c" };'
    one = suture(only_c, max_attempts=1)
    one.measure(1)
    incident = one.ended(one.alert(), "resolved", "escalated")
    assert (incident.status, one.ledger()) == ("resolved", ["fix-shop-c"])
    assert len(decisions(one, incident.id)) > 1, "another came before it"


def test_where_all_are_forbidden_the_incident_says_why_and_not_that_attempts_ran_out(suture):
    one = suture('@id("budget") forbid (principal, action, resource);', max_attempts=1)
    incident = one.ended(one.alert(), "escalated")
    assert len(decisions(one, incident.id)) == len(CANDIDATES)
    assert incident.timeline[-1].text.endswith("forbidden: policy budget forbids it (policy budget)")


@pytest.mark.parametrize("hold", ["kill switch", "freeze"])
def test_what_holds_the_whole_service_hands_over_at_once_with_its_reason(suture, hold):
    always = {"name": "audit-week", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    one = suture(limits={"freezes": [always] if hold == "freeze" else []})
    if hold == "kill switch":
        one.parts.kill_switch.turn(True, "ann")
    incident = one.ended(one.alert(), "escalated")
    said = {"kill switch": "forbidden: the kill switch is on", "freeze": "forbidden: the freeze 'audit-week' holds"}
    assert len(decisions(one, incident.id)) == 1
    assert said[hold] in incident.timeline[-1].text


def test_what_holds_one_action_lets_the_next_candidate_try(suture):
    one = suture(limits={"breaker": {"failures": 1, "cooldown": "1h"}}, max_attempts=1)
    for name in CANDIDATES[:2]:
        one.parts.executions.add_outcome(
            Outcome(
                execution=f"EXE-{name}", incident="INC-0", runbook=name, action="fix", uses="ledger/write",
                environment="default", state=E.FAILED, verified=False, at=one.parts.clock(),
            )
        )  # fmt: skip
    one.measure(1)
    incident = one.ended(one.alert(), "resolved", "escalated")
    assert (incident.status, one.ledger()) == ("resolved", ["fix-shop-c"])
