"""One act, exactly once as far as the target can tell, whatever the executor does and wherever it is cut off."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError

from models.domain.execution import CancelRequest, Decision, Execution, ExecutionState, StepRecord
from models.domain.recommendation import Candidate
from models.domain.runbook import Check, Step
from service.ports import Effect, ExecutorError, Verb
from service.remediation import acting
from service.remediation.acting import Actor
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.executions import Executions
from service.store.state import KillSwitch
from tests.service.taken_over import TakenOver, refused

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
STEP = Step(uses="robot/push", arguments={})


class Nothing(BaseModel):
    pass


class Robot:
    """Does as told: `answers` of `act` in order, `effects` of `observe` in order (the last one stays)."""

    name = "robot"

    def __init__(self, answers=({},), effects=(Effect.UNKNOWN,), *, snapshot=None, **declared):
        verb = {"idempotent": False, "observable": True, "lingers": False, **declared}
        self.verbs = {"push": Verb("push", "Push", Nothing, Nothing, **verb)}
        self.answers, self.effects, self.acts = list(answers), list(effects), 0
        self._snapshot = snapshot

    def dry_run(self, call):
        return "would push"

    def snapshot(self, call):
        if self._snapshot:
            raise self._snapshot
        return {"before": 1}

    def act(self, call):
        self.acts += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(call) if callable(answer) else answer

    def observe(self, call):
        effect = self.effects.pop(0) if len(self.effects) > 1 else self.effects[0]
        if isinstance(effect, Exception):
            raise effect
        return effect


@pytest.fixture
def execution(tmp_path):
    candidate = Candidate(
        incident="INC-1", environment="default", service="shop", runbook="r", action="a", title="Push",
        uses="robot/push", arguments={}, target="robot", parameters={}, risk="low", reversible=True, approval="policy",
        timeout=timedelta(seconds=60), preconditions=(), verify=(Check(query="up", condition="== 1"),), rollback=None,
    )  # fmt: skip
    decision = Decision(
        candidate_hash=candidate.hash, verdict="permit", mode="auto", reason="may", decided_at=START
    )  # fmt: skip
    return Execution(
        id="EXE-1",
        incident="INC-1",
        candidate=candidate,
        probability=0.9,
        decision=decision,
        created_at=START,
        state=ExecutionState.RUNNING,
    )


@pytest.fixture
def act(tmp_path, execution):
    database = open_database(f"sqlite:///{tmp_path / 'suture.db'}")
    executions = Executions(database, AuditLog(database, lambda: START), lambda: START)
    executions.add(execution, "workflow")

    def act(robot, *, begun=False, step="act"):
        """`begun`: an attempt was cut off."""
        if begun:
            executions.record("EXE-1", StepRecord(name=step, state="started", at=START, data={"before": 1}))
        act.pauses = []
        act.actor = Actor(
            {"robot": robot}, executions, lambda: START, lambda seconds: act.pauses.append(round(seconds))
        )
        result = act.actor.act(executions.get("EXE-1"), step, STEP)
        act.steps = [(step.name, step.state) for step in executions.get("EXE-1").steps]
        return result

    act.executions, act.database = executions, database
    act.audit = AuditLog(database, lambda: START)
    yield act
    database.close()


def test_what_the_executor_returns_is_recorded(act):
    assert act(Robot([{"pid": 7}])).outputs == {"pid": 7}
    assert act.steps == [("act", "started"), ("act", "done")]


def test_an_error_of_any_kind_before_the_act_means_that_nothing_was_done(act):
    robot = Robot(snapshot=KeyError("pid"))
    result = act(robot)
    assert (result.result, result.detail, robot.acts) == ("failed", "nothing was done: KeyError: 'pid'", 0)


@pytest.mark.parametrize(
    ("effect", "result"),
    [
        (Effect.HAPPENED, "done"),
        (Effect.ABSENT, "failed"),
        (Effect.UNKNOWN, "uncertain"),
        (RuntimeError("gone"), "uncertain"),
    ],
)
@pytest.mark.parametrize("error", [KeyError("pid"), ExecutorError("the connection broke")])
def test_after_an_error_in_the_act_the_target_is_asked(act, error, effect, result):
    robot = Robot([error], [effect])
    assert act(robot).result == result
    assert robot.acts == 1


def test_what_certainly_had_no_effect_is_tried_again(act):
    refused = ExecutorError("busy", retriable=True, effect=Effect.ABSENT)
    robot = Robot([refused, refused, {}])
    assert act(robot).result == "done"
    assert (robot.acts, len(act.pauses)) == (3, 2)


def test_outputs_that_no_record_can_hold_do_not_undo_the_act(act):
    assert act(Robot([{"handle": object()}])).result == "done"
    assert act.steps[-1] == ("act", "done")


class TestAfterACrash:
    def test_what_happened_is_not_done_again(self, act):
        robot = Robot(effects=[Effect.HAPPENED])
        assert act(robot, begun=True).result == "done"
        assert (robot.acts, act.pauses) == (0, [])

    def test_what_did_not_happen_is_done_once_its_first_attempt_can_no_longer_arrive(self, act):
        robot = Robot(effects=[Effect.ABSENT])
        act(robot, begun=True)
        assert (robot.acts, act.pauses) == (1, [60])

    def test_what_arrives_meanwhile_is_not_done_again(self, act):
        robot = Robot(effects=[Effect.ABSENT, Effect.HAPPENED])
        assert act(robot, begun=True).result == "done"
        assert robot.acts == 0

    def test_what_nobody_can_tell_is_uncertain(self, act):
        robot = Robot(observable=False)
        assert act(robot, begun=True).result == "uncertain"
        assert robot.acts == 0

    def test_what_may_be_done_twice_is_done_again(self, act):
        robot = Robot(observable=False, idempotent=True)
        assert act(robot, begun=True).result == "done"
        assert (robot.acts, act.pauses) == (1, [])

    def test_what_was_recorded_answers(self, act):
        act(Robot([{"pid": 7}]))
        robot = Robot()
        assert act(robot).outputs == {"pid": 7}
        assert robot.acts == 0

    def test_what_the_target_says_may_be_repeated_is_done_again(self, act):
        robot = Robot(effects=[Effect.REPEATABLE])
        assert act(robot, begun=True).result == "done"
        assert (robot.acts, act.pauses) == (1, [])


class TestAnErrorInTheAct:
    def test_a_request_that_may_still_arrive_is_waited_for(self, act):
        robot = Robot([ExecutorError("the connection broke")], [Effect.ABSENT, Effect.HAPPENED], lingers=True)
        assert act(robot).result == "done"
        assert act.pauses == [60]

    def test_one_that_may_be_repeated_is_waited_for_too_before_it_is_called_absent(self, act):
        """Else the next candidate would start, and the effect of this one come after it."""
        effects = [Effect.ABSENT, Effect.HAPPENED]
        robot = Robot([ExecutorError("the connection broke")], effects, lingers=True, idempotent=True)
        assert act(robot).result == "done"
        assert act.pauses == [60]

    def test_what_may_be_repeated_is_tried_again_and_is_uncertain_at_last(self, act):
        broken = ExecutorError("the connection broke")
        robot = Robot([broken, {}], [Effect.REPEATABLE])
        assert act(robot).result == "done"
        robot = Robot([broken] * 3, [Effect.REPEATABLE])
        assert act(robot, step="rollback").result == "uncertain"
        assert robot.acts == 3

    @pytest.mark.parametrize("effect", [Effect.ABSENT, Effect.REPEATABLE, Effect.UNKNOWN])
    def test_an_executor_that_hangs_is_left_and_nothing_is_believed_to_be_absent(self, act, monkeypatch, effect):
        monkeypatch.setattr(acting, "_limit", lambda _: 0.05)
        ends = threading.Event()
        robot = Robot([lambda _: ends.wait(10)], [effect])
        result = act(robot)
        ends.set()
        assert (result.result, robot.acts) == ("uncertain", 1)
        assert "robot/push did not end within" in result.detail


class TestAPersonWhoStopsIt:
    @pytest.fixture
    def wish(self, act):
        """A person's wish that the execution ends."""
        return lambda: act.executions.request_cancel("EXE-1", CancelRequest(by="ann", at=START))

    @pytest.mark.parametrize(("step", "told"), [("act", True), ("rollback", False)])
    def test_an_act_is_told_and_a_rollback_is_not(self, act, wish, step, told):
        robot = Robot([lambda call: wish() and {"told": call.cancelled()}])
        assert act(robot, step=step).outputs == {"told": told}

    def test_nothing_is_repeated(self, act, wish):
        def broken(_):
            wish()
            raise ExecutorError("the connection broke")

        robot = Robot([broken] * 3, [Effect.REPEATABLE])
        assert act(robot).result == "uncertain"
        assert robot.acts == 1

    def test_one_who_is_quicker_than_the_act_prevents_it(self, act, wish):
        robot = Robot([{}])
        robot.snapshot = lambda call: wish() and {}
        result = act(robot)
        assert (result.result, result.detail, robot.acts) == ("failed", "nothing was done: cancelled by ann", 0)
        assert act.steps == [("act", "failed")]


class TestTheLastMomentBeforeAnAct:
    def stop(self, act):
        KillSwitch(act.database, act.audit).turn(True, "ann")

    def test_the_kill_switch_prevents_it_and_no_rollback(self, act):
        robot = Robot([{}, {}])
        robot.snapshot = lambda call: self.stop(act) or {}
        result = act(robot)
        assert (result.result, result.detail) == ("failed", "nothing was done: the kill switch is on")
        assert act(robot, step="rollback").result == "done"
        assert robot.acts == 1

    def test_it_prevents_another_attempt_where_the_first_did_nothing(self, act):
        def refused(_):
            self.stop(act)
            raise ExecutorError("busy", retriable=True, effect=Effect.ABSENT)

        robot = Robot([refused, {}])
        assert act(robot).detail == "nothing was done: the kill switch is on"
        assert robot.acts == 1

    def test_it_prevents_what_a_crash_prevented_already(self, act):
        self.stop(act)
        robot = Robot(effects=[Effect.ABSENT])
        assert act(robot, begun=True).detail == "nothing was done: the kill switch is on"
        assert robot.acts == 0

    def test_it_does_not_cut_off_what_may_be_under_way(self, act):
        self.stop(act)
        robot = Robot(effects=[Effect.REPEATABLE])
        assert act(robot, begun=True).result == "done"

    @pytest.mark.parametrize("step", ["act", "rollback"])
    def test_an_execution_that_was_ended_meanwhile_does_nothing(self, act, step):
        ended = StepRecord(name="abandoned", state="failed", at=START)
        robot = Robot([{}])
        robot.snapshot = lambda call: act.executions.transition("EXE-1", ExecutionState.CANCELLED, ended) and {}
        assert act(robot, step=step).detail == "nothing was done: EXE-1 is cancelled already"
        assert robot.acts == 0

    def test_what_was_stopped_once_is_not_begun_by_the_step_that_runs_again(self, act):
        assert act(Robot(snapshot=KeyError("pid"))).result == "failed"
        robot = Robot([{}])
        assert act(robot).detail == "nothing was done: KeyError: 'pid'"
        assert robot.acts == 0

    def test_a_replica_that_was_quicker_is_asked_for(self, act):
        """Both had seen that nothing was begun."""
        robot = Robot([{}], effects=[Effect.HAPPENED])
        marker = StepRecord(name="act", state="started", at=START)
        robot.snapshot = lambda call: act.executions.record("EXE-1", marker) or {}
        result = act(robot)
        assert (result.result, robot.acts) == ("done", 0)
        assert "the target says that the act happened" in result.detail

    def test_a_target_whose_database_is_away_is_no_reason_to_wait(self, act):
        robot = Robot(snapshot=OperationalError("SELECT 1", {}, Exception("connection refused")))
        assert act(robot).result == "failed"


class TestADryRun:
    def test_it_says_what_would_be_done(self, act, execution):
        act(robot := Robot([{}]))
        assert act.actor.rehearse(execution, STEP).detail == "would push"
        assert robot.acts == 1

    def test_one_that_fails_is_a_reason_not_to_act(self, act, execution):
        robot = Robot([{}])
        robot.dry_run = lambda call: 1 / 0
        act(robot)
        result = act.actor.rehearse(execution, STEP)
        assert (result.result, result.detail) == (
            "failed", "nothing was done: the dry run failed: ZeroDivisionError: division by zero",
        )  # fmt: skip


class TestAReplicaThatWasTakenOver:
    @pytest.mark.parametrize("asked", ["ready", "still"], ids=["before an attempt", "right before the effect"])
    def test_it_does_not_act_although_it_had_begun_to(self, act, execution, asked):
        robot = Robot()
        actor = Actor({"robot": robot}, act.executions, lambda: START, **{asked: refused})
        with pytest.raises(TakenOver):
            actor.act(execution, "act", STEP)
        assert robot.acts == 0

    def test_what_it_recorded_while_its_taker_waited_is_the_answer(self, act):
        def ended_by_the_other(_):
            act.executions.record("EXE-1", StepRecord(name="act", state="done", at=START, detail="by the other"))

        robot = Robot(effects=[Effect.ABSENT])
        marker = StepRecord(name="act", state="started", at=START, data={})
        act.executions.record("EXE-1", marker)
        actor = Actor({"robot": robot}, act.executions, lambda: START, ended_by_the_other)
        assert actor.act(act.executions.get("EXE-1"), "act", STEP).detail == "by the other"
        assert robot.acts == 0

    def test_an_executor_may_ask_once_more_after_its_preparation(self, act, execution):
        asked = []
        robot = Robot([lambda call: call.confirm() or {}])
        actor = Actor({"robot": robot}, act.executions, lambda: START, still=lambda: asked.append(robot.acts))
        assert actor.act(execution, "act", STEP).result == "done"
        assert asked == [0, 1]

    def test_without_the_database_s_word_it_tries_again_having_done_nothing(self, act, execution):
        answers = [OperationalError("SELECT", {}, Exception("gone")), None, None]

        def still():
            if (answer := answers.pop(0)) is not None:
                raise answer

        robot = Robot([{"pid": 7}])
        actor = Actor({"robot": robot}, act.executions, lambda: START, lambda _: None, still=still)
        assert actor.act(execution, "act", STEP).result == "done"
        assert robot.acts == 1
