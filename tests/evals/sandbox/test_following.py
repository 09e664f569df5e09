"""What a scenario is told and judged by, from what the REST API answers; live runs are in test_simulate."""

import re
from types import SimpleNamespace

import pytest

from evals.sandbox import fault
from evals.sandbox import follower as following
from evals.sandbox.client import Client
from evals.sandbox.follower import Follower
from evals.sandbox.scenarios import FIELD, SCENARIOS, WRONG, HandOver, scenarios_of
from models.domain.errors import BadInput
from models.domain.execution import ExecutionState, Verdict
from tests.evals.sandbox.recorded import BACK, Broken, RecordedService, Target, execution

TRIED = HandOver(re.compile("not healthy"), frozenset({ExecutionState.ROLLED_BACK, ExecutionState.FAILED}), acts=True)
UNTRIED = HandOver(re.compile("nobody decided"), frozenset({ExecutionState.CANCELLED}))


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(following, "_POLL", 0.01)
    monkeypatch.setattr(fault, "HOLDS_SECONDS", 0.0)
    monkeypatch.setattr(following, "LASTING_SECONDS", 0.05)
    monkeypatch.setattr(following, "TICKET_SECONDS", 0.3)


@pytest.fixture
def service():
    return RecordedService()


@pytest.fixture
def follow(service):
    """Follows a fault on what the service answers; the episode, and the events that were shown."""

    def run(fault=None, hand_over=None, ask=lambda _: None):
        events = []
        follower = Follower(Client(service), "named", fault or Broken(), hand_over, events.append, ask, 0.5)
        service.before_incident.append(lambda: None)
        return follower.run(), events

    return run


def answers(service, *, status, reason, executions, comment=None, postmortem=True):
    """From now on, the service says this."""

    def say():
        service.opens(status, reason, postmortem=postmortem)
        service.recommends(*(one.candidate for one in executions()))
        service.executions = list(executions())
        service.writes_ticket(comment or f"**A person must act.** {reason}", closed=status == "resolved")

    service.before_incident.append(say)


def test_the_second_candidate_is_told_after_the_first_was_rolled_back(service, follow):
    def executions():
        return (
            execution(1, "rolled_back", title="Send them elsewhere", uses="traffic/switch", rollback=BACK),
            execution(2, "succeeded", title="Restart it"),
        )

    answers(service, status="resolved", reason="verified healthy", executions=executions)
    episode, events = follow()
    assert episode.failure is None
    stages = ["injected", "seen", "found", "decided", "done", "failed", "decided", "done", "verified", "closed"]
    assert [event.stage for event in events] == stages
    assert "measured not healthy, and rolled back" in events[5].text
    assert any("undone by traffic/switch shop primary" in line for line in events[5].details)
    assert events[6].text.startswith("Restart it (90%) is next; permitted")
    assert [(one.title, one.state) for one in episode.attempts] == [
        ("Send them elsewhere", "rolled_back"), ("Restart it", "succeeded"),
    ]  # fmt: skip


def test_what_the_target_said_against_an_act_is_told(service, follow):
    tried = execution(1, "failed")
    said = "the target says that the act happened, after: shop did not stay up: FATAL"
    acted = tuple(step.model_copy(update={"detail": said}) if step.state == "done" else step for step in tried.steps)
    answers(service, status="escalated", reason="r", executions=lambda: (tried.model_copy(update={"steps": acted}),))
    _, events = follow(hand_over=TRIED)
    [done] = [event for event in events if event.stage == "done"]
    assert done.details == (said,)


def test_what_was_resolved_must_have_been_measured_and_the_target_must_serve(service, follow):
    answers(service, status="resolved", reason="r", executions=lambda: (execution(1, "failed"),))
    assert "without a verification that measured health" in follow()[0].failure
    broken = Broken()
    broken.serves = False
    answers(service, status="resolved", reason="r", executions=lambda: (execution(1, "succeeded"),))
    assert "shop does not serve its clients" in follow(broken)[0].failure


def test_what_was_to_be_resolved_and_reached_a_person_failed(service, follow):
    answers(service, status="escalated", reason="no candidate was left", executions=tuple)
    assert "INC-1 is escalated: no candidate was left" in follow()[0].failure


def test_a_word_that_never_comes_hands_over_with_nothing_done(service, follow):
    asked = []

    def executions():
        state = "cancelled" if asked else "pending"
        return (execution(1, state, acts=0, verdict=Verdict.NEEDS_APPROVAL),)

    reason = "nobody decided on 'Restart it' in time"
    answers(service, status="awaiting_approval", reason="asked", executions=executions)

    def ask(one):
        asked.append(one.id)
        service.opens("escalated", reason)
        service.writes_ticket(f"**A person must act.** {reason}", closed=False)
        service.executions = list(executions())

    episode, events = follow(hand_over=UNTRIED, ask=ask)
    assert episode.failure is None
    assert asked == ["EXE-1-1-1"]
    assert service.posted == []
    assert [event.stage for event in events] == ["injected", "seen", "found", "decided", "failed", "handed"]
    assert reason in events[-1].text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"executions": lambda: (execution(1, "cancelled"),)}, "after something was done"),
        ({"executions": lambda: (execution(1, "succeeded", acts=0),)}, "an execution that is succeeded"),
        ({"executions": tuple, "reason": "the database was away"}, "for another reason: the database was away"),
        ({"executions": tuple, "comment": "**A person must act.** Why?"}, "ticket that does not give the reason"),
        ({"executions": tuple, "comment": "Look here."}, "was not told that a person must act"),
        ({"executions": tuple, "status": "resolved"}, "was to be handed to a person"),
    ],
)
def test_a_hand_over_that_went_otherwise_is_named(service, follow, given, words):
    answers(service, **({"status": "escalated", "reason": "nobody decided in time"} | given))
    assert words in follow(hand_over=UNTRIED)[0].failure


def attempts(first="rolled_back", acts=1):
    return lambda: (
        execution(1, first, acts=acts, title="Send them elsewhere", uses="traffic/switch", rollback=BACK),
        execution(2, "failed"),
    )


def test_a_remedy_that_does_not_help_is_undone_on_the_target_before_a_person_acts(service, follow):
    target = Target()
    target.started = {"shop": 1}
    answers(service, status="escalated", reason="not healthy after 20 s", executions=attempts())
    assert follow(Broken(target), TRIED)[0].failure is None


@pytest.mark.parametrize(
    ("executions", "pool", "started", "words"),
    [
        (attempts(), "standby", 1, "is rolled back, and process:shop is not as before"),
        (attempts("failed"), "primary", 1, "nothing was rolled back"),
        (attempts(acts=2), "primary", 1, "whose act was done 2 times"),
        (attempts(), "primary", 2, "had shop started 2 times, and asked for 1"),
        (lambda: attempts()()[:1], "primary", 0, "after 1 attempts, without a next candidate"),
    ],
)
def test_what_was_left_undone_or_done_twice_is_named(service, follow, executions, pool, started, words):
    target = Target()
    target.pool, target.started = pool, {"shop": started}
    answers(service, status="escalated", reason="not healthy after 20 s", executions=executions)
    assert words in follow(Broken(target), TRIED)[0].failure


def test_an_alert_is_sent_once_its_rule_holds(service, follow):
    class Idle(Broken):
        alert = "WorkersIdle"
        looks = 0

        def alerting(self):
            self.looks += 1
            return self.looks > 3

    answers(service, status="resolved", reason="r", executions=lambda: (execution(1, "succeeded"),))
    episode, events = follow(Idle())
    assert episode.failure is None
    [(path, body)] = service.posted
    assert (path, body["signals"][0]["name"], body["signals"][0]["labels"]["process"]) == (
        "/v1/signals", "WorkersIdle", "shop",
    )  # fmt: skip
    assert [event.stage for event in events][:3] == ["injected", "alerted", "seen"]


def test_scenarios_are_found_by_name_and_a_wrong_name_lists_them():
    assert len(SCENARIOS) == 8
    assert scenarios_of(["all"]) == (*FIELD, *WRONG)
    [extra] = scenarios_of(["kill_database"])
    assert extra.ending == "resolved"
    with pytest.raises(BadInput, match="no scenario 'flood': choose one of exhaust_connections, overload"):
        scenarios_of(["flood"])


def test_a_rule_fires_when_it_holds_again_after_its_time(monkeypatch):
    monkeypatch.setattr(fault, "HOLDS_SECONDS", 3.0)
    holds, now = iter([False, True, True, False, False, True]), iter([1.0, 2.5, 5.0])
    rule = fault.HeldRule(SimpleNamespace(alerting=lambda: next(holds)), lambda: next(now))
    assert [rule.fires() for _ in range(6)] == [False, False, False, False, False, True]
