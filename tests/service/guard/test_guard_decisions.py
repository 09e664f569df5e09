"""What the guard decides: modes, the kill switch, policies, people."""

from datetime import timedelta

import pytest

from models.domain.errors import Conflict, NotAllowed
from models.domain.execution import Execution, ExecutionState, Outcome, StepRecord, Verdict
from models.domain.recommendation import Candidate, RankedCandidate
from models.domain.runbook import Check
from service.guard.record import SuccessRecord
from service.store.keys import Role

CANDIDATE = {
    "incident": "INC-1", "environment": "default", "service": "shop", "runbook": "fix-shop", "action": "fix",
    "title": "Fix it", "uses": "ledger/write", "arguments": {"name": "shop"}, "target": "ledger:shop", "parameters": {},
    "risk": "low", "reversible": True, "approval": "policy", "timeout": timedelta(seconds=5), "preconditions": (),
    "verify": (Check(query="healthy", condition="== 1"),), "rollback": None,
}  # fmt: skip


def ranked(**changes):
    candidate = Candidate(**(CANDIDATE | changes))
    return RankedCandidate(candidate=candidate, probability=0.9, justification="", citations=())


@pytest.mark.parametrize(
    ("mode", "approval", "verdict"),
    [
        ("observe", "policy", "forbid"),
        ("suggest", "policy", "forbid"),
        ("approve", "policy", "needs_approval"),
        ("auto", "policy", "permit"),
        ("auto", "always", "needs_approval"),
        ("auto", "two-person", "needs_approval"),
    ],
)
def test_the_mode_and_the_runbook_bound_what_policy_permits(installation, mode, approval, verdict):
    one = ranked(approval=approval)
    decision = installation(mode=mode).parts.guard.decide(one)
    assert decision.verdict == verdict
    assert decision.candidate_hash == one.candidate.hash
    assert decision.approvals_needed == {"permit": 0, "forbid": 0}.get(verdict, 2 if approval == "two-person" else 1)


def test_the_mode_of_the_environment_goes_before_the_general_one(installation):
    guard = installation(mode="auto", modes={"prod": "suggest"}).parts.guard
    assert guard.decide(ranked()).verdict is Verdict.PERMIT
    refused = guard.decide(ranked(environment="prod"))
    assert refused.verdict is Verdict.FORBID
    assert "'prod' is in mode suggest" in refused.reason


def test_the_kill_switch_forbids_at_once_and_needs_no_restart(installation):
    parts = installation().parts
    parts.kill_switch.turn(True, "me")
    assert parts.guard.decide(ranked()).reason == "the kill switch is on"
    parts.kill_switch.turn(False, "me")
    assert parts.guard.decide(ranked()).verdict is Verdict.PERMIT


def test_a_forbid_policy_is_named(installation, make_settings):
    folder = make_settings().policies
    (folder / "more.cedar").write_text('@id("no-ledger") forbid (principal, action, resource);')
    decision = installation().parts.guard.decide(ranked())
    assert (decision.verdict, decision.policies) == (Verdict.FORBID, ("no-ledger",))


def test_autonomy_needs_a_record_of_verified_success(installation):
    """The default policies let the autopilot act from 14 verified successes in a row on: Beta(14, 1) at 5 % is .807."""
    parts = installation(policies=None).parts

    def outcome(number, verified=True):
        parts.executions.add_outcome(
            Outcome(
                execution=f"EXE-{number}", incident="INC-1", runbook="fix-shop", action="fix", uses="ledger/write",
                environment="default", state=ExecutionState.SUCCEEDED, verified=verified, at=parts.clock(),
            )
        )  # fmt: skip

    for number in range(13):
        outcome(number)
    assert parts.guard.decide(ranked()).verdict is Verdict.NEEDS_APPROVAL
    outcome(13)
    assert parts.guard.decide(ranked()).verdict is Verdict.PERMIT
    outcome(14, verified=False)
    assert parts.guard.decide(ranked()).verdict is Verdict.NEEDS_APPROVAL


@pytest.mark.parametrize(
    ("successes", "total", "bound"), [(0, 0, 0.0), (0, 10, 0.0), (14, 14, 0.8074), (10, 10, 0.7411), (18, 20, 0.7174)]
)
def test_the_lower_bound_is_that_of_clopper_and_pearson(successes, total, bound):
    assert SuccessRecord(successes, total).lower_bound == pytest.approx(bound, abs=5e-5)


class TestApprovals:
    @pytest.fixture
    def parts(self, installation):
        return installation(mode="approve").parts

    @pytest.fixture
    def waiting(self, parts):
        def wait(**changes):
            one = ranked(**changes)
            execution = Execution(
                id="EXE-1-1-1", incident="INC-1", candidate=one.candidate, probability=one.probability,
                decision=parts.guard.decide(one), created_at=parts.clock(),
            )  # fmt: skip
            parts.executions.add(execution, "workflow")
            return execution

        return wait

    @pytest.fixture
    def give(self, parts):
        from service.guard.approvals import Approvals

        self.now = parts.clock

        def clock():
            return self.now()  # a test moves it

        expires = timedelta(hours=1)
        approvals = Approvals(parts.executions, b"key", expires, clock, keys=parts.keys, guard=parts.guard)
        self.approvals = approvals

        def give(by="ann", *, approved=True, role=Role.APPROVER):
            return approvals.give("EXE-1-1-1", approved=approved, by=by, role=role)

        return give

    def test_a_yes_is_enough(self, waiting, give):
        execution = waiting()
        give()
        assert self.approvals.standing(execution).enough(1)

    def test_a_signed_yes_that_is_copied_to_another_execution_does_not_count(self, parts, waiting, give):
        from sqlalchemy import text

        first = waiting()
        give()
        other = first.model_copy(update={"id": "EXE-1-2-1"})
        parts.executions.add(other, "workflow")
        with parts.database.write() as connection:
            connection.execute(text("UPDATE approvals SET execution = 'EXE-1-2-1'"))
        assert not self.approvals.standing(other).enough(1)

    def test_two_people_means_two_different_people(self, waiting, give):
        execution = waiting(approval="two-person")
        give("ann")
        with pytest.raises(Conflict, match="ann has already decided"):
            give("ann")
        assert not self.approvals.standing(execution).enough(2)
        give("bob")
        assert self.approvals.standing(execution).enough(2)

    @pytest.mark.parametrize("again", ["key:Ann ", "cli:ann", "key:\uff41\uff4e\uff4e"])
    def test_two_spellings_of_a_name_are_one_person(self, waiting, give, again):
        execution = waiting(approval="two-person")
        give("key:ann")
        with pytest.raises(Conflict, match="already decided on EXE-1-1-1, as key:ann"):
            give(again)
        assert not self.approvals.standing(execution).enough(2)

    def test_one_no_outweighs_any_yes(self, waiting, give):
        execution = waiting()
        give("ann")
        give("bob", approved=False)
        assert not self.approvals.standing(execution).enough(1)

    def test_the_role_must_be_the_one_that_was_asked_for(self, waiting, give):
        waiting()
        with pytest.raises(NotAllowed, match="takes the role approver; eve is viewer"):
            give("eve", role=Role.VIEWER)

    def test_an_edited_row_does_not_count(self, parts, waiting, give):
        from sqlalchemy import text

        execution = waiting()
        give("ann", approved=False)
        with parts.database.write() as connection:
            connection.execute(text("UPDATE approvals SET document = replace(document, 'false', 'true')"))
        standing = self.approvals.standing(execution)
        assert not standing.enough(1)
        assert standing.approved_by == ()

    def test_after_the_expiry_nothing_counts_any_more(self, parts, waiting, give):
        execution = waiting()
        give("ann")
        later = parts.clock() + timedelta(hours=2)
        self.now = lambda: later
        assert self.approvals.standing(execution).expires_in < timedelta(0)
        assert not self.approvals.standing(execution).enough(1)
        with pytest.raises(Conflict, match="the time to decide"):
            give("bob")

    def test_a_word_on_what_was_permitted_is_refused_since_nobody_waits_for_it(self, parts, waiting, give):
        permitted = waiting(title="Fix it at once")
        execution = permitted.model_copy(
            update={"id": "EXE-2", "decision": permitted.decision.model_copy(update={"verdict": Verdict.PERMIT})}
        )
        parts.executions.add(execution, "workflow")
        with pytest.raises(Conflict, match="`suture execution cancel EXE-2` stops it"):
            self.approvals.give("EXE-2", approved=False, by="ann", role=Role.ADMIN)

    def test_what_does_not_wait_takes_no_approval(self, parts, waiting, give):
        waiting()
        step = StepRecord(name="cancel", state="done", at=parts.clock())
        parts.executions.transition("EXE-1-1-1", ExecutionState.CANCELLED, step)
        with pytest.raises(Conflict, match="is cancelled"):
            give()
