"""Decisions in full: who is asked, how many, what is missing, and what stands whatever policies say."""

from datetime import UTC, datetime

import pytest

from models.domain.execution import Execution, ExecutionState, Mode, Verdict
from models.domain.incident import Request
from models.domain.recommendation import Candidate, RankedCandidate
from service.guard.guard import Guard
from service.guard.policy import load_policies
from service.guard.record import SuccessRecord
from service.registry import verb_catalogue
from tests.service.guard.test_guard_decisions import CANDIDATE

NIGHT = datetime(2026, 3, 6, 23, 30, tzinfo=UTC)


def ranked(probability=0.9, **changes):
    candidate = Candidate(**(CANDIDATE | changes))
    return RankedCandidate(candidate=candidate, probability=probability, justification="", citations=())


class Calm:
    """A world in which nothing happened and an action has a given record."""

    def __init__(self, level=Mode.AUTO, record=(0, 0)):
        self._earned = level, SuccessRecord(*record)

    def is_on(self):
        return False

    def outcomes(self, *_):
        return []

    def level(self, _):
        return self._earned[0]

    def earned(self, _):
        return self._earned


@pytest.fixture
def guard(make_settings, tmp_path):
    def make(text, mode="auto", budget=None, **calm):
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        if text is not None:
            (folder / "own.cedar").write_text(text)
        policies = load_policies(folder if text is not None else None, verb_catalogue())
        world = Calm(**calm)
        settings = make_settings(mode=mode)
        return Guard(policies, settings, world, world, lambda: NIGHT, autonomy=world, error_budget=budget)

    return make


PEOPLE = '@id("people") permit (principal in Role::"approver", action, resource);'


def alone(condition, clause="when"):
    return (
        f'{PEOPLE} @id("alone") permit (principal == Autopilot::"suture", action, resource) {clause} {{ {condition} }};'
    )


def test_the_default_set_says_how_far_the_record_is(guard):
    missing = guard(None, record=(18, 20)).decide(ranked(probability=0.75)).missing
    assert missing == (
        "probability 0.75, policy autopilot-earned asks for at least 0.80",
        "verified success 0.7173, policy autopilot-earned asks for at least 0.80",
    )


@pytest.mark.parametrize(
    ("condition", "clause", "words"),
    [
        ('context.risk == "high"', "when", "risk low, policy alone asks for high"),
        ('context.risk == "low"', "unless", "risk low, policy alone asks for anything but low"),
        ("context.hour < 22 && context.hour >= 8", "when", "hour 23, policy alone asks for less than 22"),
        ("22 > context.hour", "when", "hour 23, policy alone asks for less than 22"),
        ("context.hour >= 22 || context.hour < 8", "unless", "hour 23, policy alone asks for less than 22"),
        ("!context.reversible", "when", "reversible true, policy alone asks for false"),
        ("context.requested", "when", "requested false, policy alone asks for true"),
        ("context.blast_radius.targets > 2", "when", "blast radius targets 0, policy alone asks for more than 2"),
        ('["sat", "sun"].contains(context.weekday)', "when", "weekday fri, policy alone asks for one of sat, sun"),
        ('resource.environment == "dev"', "when", "environment default, policy alone asks for dev"),
        (
            'context has error_budget && context.error_budget.greaterThan(decimal("0.1"))',
            "when",
            "error budget is not known, policy alone asks for one that is",
        ),
        (
            'context.hour == 3 || context.weekday == "sun"',
            "when",
            'policy alone asks for `(context.hour == 3) || (context.weekday == "sun")`',
        ),
    ],
)
def test_any_condition_is_told_of_in_words(guard, condition, clause, words):
    decision = guard(alone(condition, clause)).decide(ranked())
    assert decision.verdict is Verdict.NEEDS_APPROVAL
    assert decision.missing == (words,)


def test_what_is_not_a_matter_of_policy_is_told_too(guard):
    one = guard(alone('context.mode == "auto"'), mode="approve", level=Mode.APPROVE).decide(ranked(approval="always"))
    assert one.missing == (
        "the environment 'default' is in mode approve, not auto",
        "the action has earned approve in 'default', not auto",
        "the runbook asks for approval (always) instead of leaving it to policy",
    )
    nobody = guard(PEOPLE).decide(ranked())
    assert nobody.missing == ("a policy that lets Suture do ledger/write on ledger:shop; there is none",)
    assert guard(alone("true")).decide(ranked()).missing == ()


@pytest.mark.parametrize(
    ("mode", "level", "verdict"),
    [
        ("auto", Mode.AUTO, "permit"),
        ("auto", Mode.APPROVE, "needs_approval"),
        ("auto", Mode.SUGGEST, "forbid"),
        ("auto", Mode.OBSERVE, "forbid"),
        ("approve", Mode.AUTO, "needs_approval"),
        ("suggest", Mode.AUTO, "forbid"),
    ],
)
def test_the_lower_of_mode_and_level_holds(guard, mode, level, verdict):
    decision = guard(alone("true"), mode=mode, level=level).decide(ranked())
    assert (decision.verdict, decision.mode, decision.level) == (verdict, mode, level)


def test_the_most_that_any_deciding_policy_asks_for_holds(guard):
    text = '@id("a") @approvals("2") permit (principal in Role::"approver", action, resource);' + PEOPLE
    assert guard(text).decide(ranked()).approvals_needed == 2
    assert guard(PEOPLE).decide(ranked(approval="two-person")).approvals_needed == 2
    high = guard(None).decide(ranked(risk="high"))
    assert (high.approver_role, high.approvals_needed) == ("admin", 2)
    assert "2 approvals of different people by role admin needed" in high.reason


def test_a_permit_for_all_that_asks_for_people_does_not_let_the_autopilot_pass(guard):
    decision = guard('@id("all") @approvals("1") permit (principal, action, resource);').decide(ranked())
    assert decision.verdict is Verdict.NEEDS_APPROVAL
    assert decision.missing == ("policy all asks for 1 approvals",)


def test_where_no_role_may_the_people_whom_policy_names_are_asked(guard):
    ann = '@id("ann") permit (principal == Person::"ann", action, resource);'
    decision = guard(ann).decide(ranked())
    assert (decision.verdict, decision.approver_role, decision.approvers) == ("needs_approval", None, ("ann",))
    two = guard(ann.replace("permit", '@approvals("2") permit')).decide(ranked())
    assert two.verdict is Verdict.FORBID
    assert "2 approvals are needed, and policy lets only ann approve" in two.reason


def test_a_forbid_wins_over_everything_and_is_named(guard):
    text = (
        alone("true")
        + '@id("night") forbid (principal, action in Action::"act", resource) when { context.hour >= 22 };'
    )
    decision = guard(text).decide(ranked())
    assert (decision.verdict, decision.policies, decision.missing) == (
        "forbid",
        ("night",),
        ("policy night forbids it",),
    )


def test_a_policy_that_cannot_be_evaluated_forbids(guard):
    text = alone("true") + (
        '@id("overflow") forbid (principal, action, resource) when { context.outcomes * 9223372036854775807 > 5 };'
    )
    assert guard(text).decide(ranked()).verdict is Verdict.PERMIT
    decision = guard(text, record=(3, 3)).decide(ranked())
    assert decision.verdict is Verdict.FORBID
    assert "cannot be evaluated" in decision.reason
    assert "`overflow`" in decision.reason


@pytest.mark.parametrize(
    ("budget", "verdict"),
    [(0.5, "permit"), (0.05, "needs_approval"), (None, "needs_approval"), (float("nan"), "needs_approval")],
)
def test_the_error_budget_counts_where_it_is_known(guard, budget, verdict):
    text = alone('context has error_budget && context.error_budget.greaterThan(decimal("0.1"))')
    assert guard(text, budget=lambda: budget).decide(ranked()).verdict == verdict


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "ledger:sh\u043ep"},  # Cyrillic o
        {"target": "ledger:shop\u200b"},
        {"service": "\uff53hop"},
        {"environment": "pr\u03bfd"},  # Greek omicron
        {"target": "ledger:shop\n"},
    ],
)
def test_a_name_that_could_be_taken_for_another_is_refused(guard, changes):
    decision = guard(alone("true")).decide(ranked(**changes))
    assert decision.verdict is Verdict.FORBID
    assert "could be taken for another" in decision.reason


def test_a_name_in_any_one_alphabet_is_a_name(guard):
    assert guard(alone("true")).decide(ranked(target="ledger:магазин", service="café")).verdict is Verdict.PERMIT


def test_the_incident_counts(guard, installation):
    incident = installation().alert()
    text = alone('context.severity == "critical" && context.requested')
    asked = Request(runbook="fix-shop", action="fix", by="key:ann")
    found = installation().parts.incidents.get(incident)
    assert guard(text).decide(ranked(), found).missing == ("requested false, policy alone asks for true",)
    assert guard(text).decide(ranked(), found.model_copy(update={"requested": asked})).verdict is Verdict.PERMIT


class TestRightBeforeTheAct:
    def execution(self, guard, **changes):
        one = ranked()
        return Execution(
            id="EXE-1-1-1", incident="INC-1", candidate=one.candidate, probability=one.probability,
            decision=guard.decide(one), created_at=NIGHT, **changes,
        )  # fmt: skip

    def test_what_holds_still_starts(self, guard):
        assert guard(alone("true")).reconsider(self.execution(guard(alone("true")))) is None
        assert guard(PEOPLE).reconsider(self.execution(guard(PEOPLE))) is None

    def test_trust_that_was_lost_meanwhile_stops_it(self, guard):
        decided = self.execution(guard(alone("true")))
        refusal = guard(alone("true"), level=Mode.APPROVE).reconsider(decided)
        assert "the action has earned approve" in refusal

    def test_a_forbid_that_applies_by_now_stops_what_people_approved(self, guard):
        decided = self.execution(guard(PEOPLE))
        late = guard(PEOPLE + '@id("late") forbid (principal, action, resource) when { context.hour >= 23 };')
        assert late.reconsider(decided) == "policy late forbids it"

    def test_more_people_than_were_asked_stop_it(self, guard):
        decided = self.execution(guard(PEOPLE))
        assert "2 approvals" in guard(PEOPLE.replace("permit", '@approvals("2") permit')).reconsider(decided)

    def test_what_any_approver_could_approve_does_not_start_where_only_some_people_may_by_now(self, guard):
        ann = '@id("ann") permit (principal == Person::"ann", action, resource);'
        bob = ann.replace("ann", "bob")
        assert guard(ann).reconsider(self.execution(guard(ann))) is None
        assert "by ann needed" in guard(ann).reconsider(self.execution(guard(PEOPLE)))
        assert "by ann needed" in guard(ann).reconsider(self.execution(guard(ann + bob)))
        assert guard(ann + bob).reconsider(self.execution(guard(ann))) is None

    def test_what_a_named_approver_could_approve_does_not_start_where_only_admins_may_by_now(self, guard):
        decided = self.execution(guard('@id("ann") permit (principal == Person::"ann", action, resource);'))
        assert guard(PEOPLE).reconsider(decided) is None
        assert "role admin" in guard(PEOPLE.replace("approver", "admin")).reconsider(decided)

    def test_one_that_was_claimed_is_not_asked_about_again(self, guard):
        decided = self.execution(guard(alone("true")), state=ExecutionState.RUNNING)
        assert guard(PEOPLE).reconsider(decided) is None
