"""Reading Cedar policies: one clear line for what is wrong, and names for what decided."""

import pytest

from models.domain.errors import BadInput
from service.guard.policy import AUTOPILOT, load_policies

ACTIONS = ["process/restart", "script/run"]
CONTEXT = {
    "mode": "auto", "probability": 0.9, "risk": "low", "reversible": True, "approval": "policy", "runbook": "r",
    "action": "a", "environment": "e", "verified_success": 0.9, "outcomes": 40,
}  # fmt: skip
TARGET = {"service": "shop", "environment": "e"}


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
        ('@id("a") permit (principal == Person::"me", action, resource);', 1, "Person"),
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
    with pytest.raises(BadInput, match="same @id: same"):
        load_policies(tmp_path, ACTIONS)


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
    low = policies.ask(AUTOPILOT, "process/restart", "process:shop", TARGET, CONTEXT)
    high = policies.ask(AUTOPILOT, "process/restart", "process:shop", TARGET, CONTEXT | {"risk": "high"})
    assert (low.allowed, low.policies) == (True, ("yes",))
    assert (high.allowed, high.policies) == (False, ("never-high",))


def test_a_target_with_quotes_cannot_change_the_question(write):
    policies = load_policies(write('@id("a") permit (principal, action, resource == Target::"x");'), ACTIONS)
    answer = policies.ask(AUTOPILOT, "process/restart", 'y" || Target::"x', TARGET, CONTEXT)
    assert not answer.allowed


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
    answer = load_policies(None, ACTIONS).ask(AUTOPILOT, "process/restart", "process:shop", TARGET, CONTEXT | change)
    assert answer.allowed is allowed


@pytest.mark.parametrize(
    ("role", "risk", "allowed"),
    [
        ("approver", "low", True),
        ("approver", "high", False),
        ("admin", "low", True),
        ("admin", "high", True),
        ("viewer", "low", False),
    ],
)
def test_the_default_set_asks_people_by_risk(role, risk, allowed):
    policies = load_policies(None, ACTIONS)
    answer = policies.ask(f'Role::"{role}"', "process/restart", "process:shop", TARGET, CONTEXT | {"risk": risk})
    assert answer.allowed is allowed
