"""Reading Cedar policies: one clear line for what is wrong, and names for what decided."""

import pytest

from models.domain.errors import BadInput
from service.guard.policy import load_policies
from service.guard.policy_schema import AUTOPILOT, Request, person_principal, role_principal
from service.security.roles import Role

ACTIONS = ["process/restart", "script/run"]
CONTEXT = {
    "mode": "auto", "level": "auto", "probability": 0.9, "risk": "low", "reversible": True, "approval": "policy",
    "runbook": "r", "action": "a", "environment": "e", "severity": "warning", "requested": False, "approvals": 0,
    "verified_success": 0.9, "outcomes": 40, "blast_radius": {"targets": 1}, "time": "2026-03-06T22:30:00.000Z",
    "hour": 22, "weekday": "fri",
}  # fmt: skip


def request(target="process:shop", action="process/restart", **context):
    return Request(action, target, "shop", "e", CONTEXT | context)


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.cedar"):
        (tmp_path / name).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            '@id("a") permit (principal, action, resource);\n\n@id("b")\npermit (principal,\n action resource);',
            3,
            "not a Cedar",
        ),
        ("// a comment\n\npermit (principal, action, resource);", 3, "no @id"),
        ('@id("a") permit (principal, action, resource) when { context.typo == 1 };', 1, "typo"),
        ('@id("a") permit (principal, action == Action::"process/explode", resource);', 1, "process/explode"),
        ('@id("a") permit (principal == Human::"me", action, resource);', 1, "Human"),
        ('@id("a") permit (principal == Person::"Ann ", action, resource);', 1, 'write Person::"ann"'),
        ('@id("a") permit (principal in Role::"viewer", action, resource);', 1, "the roles are approver and admin"),
        ('@id("a") permit (principal == Autopilot::"me", action, resource);', 1, 'Autopilot::"suture"'),
        ('@id("a") permit (principal == ?principal, action, resource);', 1, "templates"),
        ('@id("a")\n@approvals("0") permit (principal, action, resource);', 1, '"1" to "9"'),
        ('@id("a") @approvals("two") permit (principal, action, resource);', 1, '"1" to "9"'),
        ('@id("a") @approvals permit (principal, action, resource);', 1, '"1" to "9"'),
        ('@id("a") @approvals("2") forbid (principal, action, resource);', 1, "a forbid holds whatever people say"),
        ('@id("a") @approvals("2") permit (principal == Autopilot::"suture", action, resource);', 1, "for people"),
    ],
)  # fmt: skip
def test_a_bad_policy_is_told_with_file_and_line(write, text, line, words):
    with pytest.raises(BadInput) as caught:
        load_policies(write(text), ACTIONS)
    assert f"a.cedar:{line}: " in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_and_a_repeated_name_are_refused(write, tmp_path):
    with pytest.raises(BadInput, match=r"holds no \.cedar file"):
        load_policies(tmp_path, ACTIONS)
    write('@id("same") permit (principal, action, resource);', "a.cedar")
    write('@id("same") forbid (principal, action, resource);', "b.cedar")
    with pytest.raises(BadInput, match=r"b\.cedar:1: two policies have the same @id: same"):
        load_policies(tmp_path, ACTIONS)


def test_files_without_a_policy_are_refused(write):
    with pytest.raises(BadInput, match="hold no policy; everything would be forbidden"):
        load_policies(write("// nothing yet\n"), ACTIONS)


def test_texts_that_look_like_syntax_do_not_split_a_policy(write):
    folder = write(
        '// no ; here "\n@id("odd")\npermit (principal, action, resource)\n'
        'when { context.runbook != "a;b // c" }; // tail\n@id("last") forbid (principal, action, resource);'
    )
    assert load_policies(folder, ACTIONS).names == ("odd", "last")


def test_the_answer_names_the_policies_that_decided(write):
    folder = write(
        '@id("yes") permit (principal, action, resource);\n'
        '@id("never-high") forbid (principal, action, resource) when { context.risk == "high" };'
    )
    policies = load_policies(folder, ACTIONS)
    low = policies.ask(AUTOPILOT, request())
    high = policies.ask(AUTOPILOT, request(risk="high"))
    assert (low.allowed, low.policies) == (True, ("yes",))
    assert (high.allowed, high.policies) == (False, ("never-high",))


@pytest.mark.parametrize("other", ['y" || Target::"x', "x\n", "\u0445", "X", ""])
def test_only_the_very_target_is_permitted(write, other):
    policies = load_policies(write('@id("a") permit (principal, action, resource == Target::"x");'), ACTIONS)
    assert policies.ask(AUTOPILOT, request("x")).allowed
    assert not policies.ask(AUTOPILOT, request(other)).allowed


def test_an_action_is_a_name_whatever_is_in_it(write):
    odd = 'ex"ec/ru\\n", Action::"process/restart'
    folder = write('@id("a") permit (principal, action == Action::"process/restart", resource);')
    policies = load_policies(folder, [*ACTIONS, odd])
    assert not policies.ask(AUTOPILOT, request(action=odd)).allowed
    assert not policies.ask(AUTOPILOT, request(action=odd)).errors


def test_an_action_that_does_not_exist_is_an_error_even_where_everything_is_permitted(write):
    policies = load_policies(write('@id("a") permit (principal, action, resource);'), ACTIONS)
    answer = policies.ask(AUTOPILOT, request(action="process/explode"))
    assert not answer.allowed
    assert "process/explode" in answer.errors[0]


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ('context.hour >= 22 && context.weekday == "fri"', True),
        ('context.time >= datetime("2026-03-06T22:00:00Z") && context.time < datetime("2026-03-07")', True),
        ("context.hour < 22", False),
        ("context.blast_radius.targets > 1", False),
        ("context.blast_radius has share", False),
        ("context has error_budget", False),
        ('context.probability.greaterThan(decimal("0.9"))', False),
        ('action in Action::"act"', True),
        ('action in Action::"message"', False),
    ],
)
def test_what_conditions_can_ask(write, condition, allowed):
    folder = write(f'@id("a") permit (principal, action, resource) when {{ {condition} }};')
    assert load_policies(folder, ACTIONS).ask(AUTOPILOT, request()).allowed is allowed


def test_no_rounding_lets_anything_pass(write):
    at_least = 'context.verified_success.greaterThanOrEqual(decimal("0.8"))'
    below = 'context.blast_radius has share && context.blast_radius.share.lessThan(decimal("0.5"))'
    policies = load_policies(
        write(f'@id("a") permit (principal, action, resource) when {{ {at_least} && {below} }};'), ACTIONS
    )
    almost = {"targets": 1, "share": 0.499_99}
    assert not policies.ask(
        AUTOPILOT, request(verified_success=0.799_99, blast_radius={"targets": 1, "share": 0.4})
    ).allowed
    assert not policies.ask(AUTOPILOT, request(verified_success=0.8, blast_radius=almost)).allowed
    assert policies.ask(AUTOPILOT, request(verified_success=0.8, blast_radius={"targets": 1, "share": 0.4})).allowed


def test_a_person_is_named_or_is_in_a_role(write):
    folder = write(
        '@id("ann") permit (principal == Person::"ann", action, resource);'
        '@id("admins") permit (principal in Role::"admin", action, resource);'
        '@id("not-bob") forbid (principal == Person::"bob", action, resource);'
    )
    policies = load_policies(folder, ACTIONS)
    answers = {
        (name, role): policies.ask(person_principal(name, role), request()).policies
        for name, role in [("ann", Role.VIEWER), ("eve", Role.APPROVER), ("eve", Role.ADMIN), ("bob", Role.ADMIN)]
    }
    assert answers == {
        ("ann", Role.VIEWER): ("ann",),
        ("eve", Role.APPROVER): (),
        ("eve", Role.ADMIN): ("admins",),
        ("bob", Role.ADMIN): ("not-bob",),
    }
    assert policies.people == ("ann",)


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"mode": "approve"}, False),
        ({"verified_success": 0.79}, False),
        ({"probability": 0.79}, False),
        ({"reversible": False}, False),
        ({"risk": "high"}, False),
        ({"approval": "always"}, False),
    ],
)
def test_the_default_set_lets_the_autopilot_act_only_where_it_has_earned_it(change, allowed):
    assert load_policies(None, ACTIONS).ask(AUTOPILOT, request(**change)).allowed is allowed


@pytest.mark.parametrize(
    ("role", "risk", "allowed", "people"),
    [
        (Role.APPROVER, "low", True, 0),
        (Role.APPROVER, "high", False, 0),
        (Role.ADMIN, "low", True, 0),
        (Role.ADMIN, "high", True, 2),
        (Role.VIEWER, "low", False, 0),
    ],
)
def test_the_default_set_asks_people_by_risk(role, risk, allowed, people):
    answer = load_policies(None, ACTIONS).ask(role_principal(role), request(risk=risk))
    assert (answer.allowed, answer.approvals) == (allowed, people)
