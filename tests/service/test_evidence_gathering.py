"""What speaks for a candidate is measured within a budget; what could not be looked at is told as a gap."""

import time

import pytest

from models.domain.errors import Unavailable
from models.domain.execution import ExecutionState, Outcome
from service import checks


@pytest.fixture
def gather(installation, make_runbook):
    def gather(source=None, diagnose=None, **runbook):
        make_runbook(**({"precondition": '{query: "healthy", is: "== 0"}'} | runbook))
        suture = installation(**({"diagnose": diagnose} if diagnose else {}))
        suture.parts.intake.start_detecting()
        suture.parts.corpus.sync()
        if source is not None:
            suture.parts.source.query = source
        incident = suture.parts.pipeline.localise(suture.parts.incidents.get(suture.alert()))
        return suture.parts.pipeline.retrieve(incident)

    return gather


def test_what_cannot_be_measured_is_a_gap_and_neither_true_nor_false(gather):
    def down(expression, at):
        raise Unavailable("the monitoring system does not answer")

    evidence = gather(down)
    [candidate] = evidence.candidates
    assert candidate.precondition is None
    [gap] = [gap for gap in evidence.gaps if "healthy" in gap]
    assert "does not answer" in gap


def test_what_the_time_does_not_allow_is_a_gap(gather, make_runbook):
    make_runbook("fix-shop-otherwise", target="other", precondition='{query: "another", is: "== 0"}')
    evidence = gather(diagnose={"seconds": "1ms"}, source=lambda *_: time.sleep(0.01) or [])
    left = [gap for gap in evidence.gaps if "the time was up" in gap]
    assert left, "the first answer, if there was time for it, took all of it"
    assert {gap.rpartition(": ")[2] for gap in left} <= {"healthy", "another"}
    assert [one.precondition for one in evidence.candidates].count(None) == len(left)


def test_what_the_number_of_calls_does_not_allow_is_a_gap(gather):
    evidence = gather(diagnose={"calls": 0})
    assert evidence.candidates[0].precondition is None
    assert "not looked at, as many checks as may be were asked: healthy" in evidence.gaps


def test_a_check_that_several_ask_for_is_measured_once(gather, make_runbook):
    asked = []

    def count(expression, at):
        asked.append(expression)
        return []

    make_runbook("fix-shop-otherwise", target="other", precondition='{query: "healthy", is: "== 0"}')
    assert len(gather(count).candidates) == 2
    assert asked.count("healthy") == 1


def test_of_a_runbook_that_no_trigger_matches_nothing_is_measured(gather):
    asked = []

    def count(expression, at):
        asked.append(expression)
        return []

    gather(count, alert="AnotherAlert")
    assert "healthy" not in asked


def test_a_reading_gets_the_time_that_is_left_at_most(gather, loopback, monkeypatch):
    loopback.answer = lambda _: loopback.Answer(headers={"Content-Length": "1"}, body=b"", pause=1)
    asked = []
    real = checks.status_of

    def told(address, client, seconds):
        asked.append(seconds)
        return real(address, client, seconds)

    monkeypatch.setattr(checks, "status_of", told)
    gather(precondition=f'{{http: "{loopback.url}/healthy", is: "== 200"}}', diagnose={"seconds": "300ms"})
    assert 0 < asked[0] <= 0.3


def test_what_happened_before_in_the_environment_raises_and_lowers(installation, make_runbook):
    make_runbook()
    suture = installation()
    suture.parts.intake.start_detecting()
    suture.parts.corpus.sync()
    incident = suture.parts.incidents.get(suture.alert(environment="prod"))

    def probability():
        return suture.parts.pipeline.recommend(incident).candidates[0].probability

    def ended(state, environment, number):
        suture.parts.executions.add_outcome(
            Outcome(
                execution=f"EXE-{number}", incident="INC-9", runbook="fix-shop", action="fix", uses="ledger/write",
                environment=environment, state=state, verified=state is ExecutionState.SUCCEEDED,
                at=suture.parts.clock(),
            )
        )  # fmt: skip

    before = probability()
    ended(ExecutionState.SUCCEEDED, "staging", 1)
    elsewhere = probability()
    assert elsewhere > before
    ended(ExecutionState.SUCCEEDED, "prod", 2)
    better = probability()
    assert better - elsewhere > elsewhere - before, "another environment says less"
    for number, state in enumerate((ExecutionState.ROLLED_BACK, ExecutionState.UNCERTAIN, ExecutionState.FAILED), 3):
        ended(state, "prod", number)
        worse = probability()
        assert worse < better
        better = worse
