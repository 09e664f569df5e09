"""The database is away when an act has ended: the process knows how it ended, so nothing is asked and nothing done."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError

from models.domain.execution import Decision, Execution, ExecutionState
from models.domain.recommendation import Candidate
from models.domain.runbook import Check, Step
from service.ports import Effect, ExecutorError, Verb
from service.remediation.acting import Actor
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.executions import Executions

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Nothing(BaseModel):
    pass


class Mute:
    """Cannot be asked, and must not be asked to act twice."""

    name = "mute"
    verbs = {"push": Verb("push", "Push", Nothing, Nothing, idempotent=False, observable=False)}  # noqa: RUF012

    def __init__(self, answer):
        self.answer, self.acts = answer, 0

    def snapshot(self, call):
        return {}

    def act(self, call):
        self.acts += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class AwayOnce(Executions):
    """The connection breaks when the end of an act is to be stored: once."""

    away = True

    def record(self, identifier, step):
        if step.state != "started" and self.away:
            self.away = False
            raise OperationalError("UPDATE", {}, Exception("connection lost"))
        super().record(identifier, step)


@pytest.fixture
def executions(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'suture.db'}")
    candidate = Candidate(
        incident="INC-1", environment="default", service="shop", runbook="r", action="a", title="Push",
        uses="mute/push", arguments={}, target="mute", parameters={}, risk="low", reversible=True, approval="policy",
        timeout=timedelta(seconds=60), preconditions=(), verify=(Check(query="up", condition="== 1"),), rollback=None,
    )  # fmt: skip
    decision = Decision(candidate_hash=candidate.hash, verdict="permit", mode="auto", reason="may", decided_at=START)
    made = AwayOnce(database, AuditLog(database, lambda: START), lambda: START)
    made.add(
        Execution(
            id="EXE-1",
            incident="INC-1",
            candidate=candidate,
            probability=0.9,
            decision=decision,
            created_at=START,
            state=ExecutionState.RUNNING,
        ),
        "workflow",
    )
    yield made
    database.close()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"pushed": 1}, "done"),
        (ExecutorError("refused", effect=Effect.ABSENT), "failed"),
        (ExecutorError("?"), "uncertain"),
    ],
)
def test_an_end_that_could_not_be_recorded_is_recorded_as_it_was(executions, answer, result):
    robot, step = Mute(answer), Step(uses="mute/push", arguments={})
    actor = Actor({"mute": robot}, executions, lambda: START, pause=lambda seconds: None)
    with pytest.raises(OperationalError):
        actor.act(executions.get("EXE-1"), "act", step)
    ended = actor.act(executions.get("EXE-1"), "act", step)  # as the workflow does when the database is back
    assert (ended.result, robot.acts) == (result, 1)
    assert ended.outputs == (answer if result == "done" else {})
    assert [one.state for one in executions.get("EXE-1").steps] == ["started", result]
    again = Actor({"mute": robot}, executions, lambda: START).act(executions.get("EXE-1"), "act", step)
    assert (again.result, robot.acts) == (result, 1)
