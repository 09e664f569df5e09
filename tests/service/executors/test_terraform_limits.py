"""How a plan is read and held against a module's limits. `terraform_plan.json` is what Terraform 1.11.4 printed."""

import json
from pathlib import Path

import pytest

from service.executors.terraform_changes import problems, read_plan
from service.executors.terraform_settings import Module
from service.ports import Effect, ExecutorError

RECORDED = json.loads((Path(__file__).parent / "terraform_plan.json").read_text())


def read(**changes):
    return read_plan(json.dumps(RECORDED | changes))


def module(tmp_path: Path, **changes) -> Module:
    return Module(**{"path": tmp_path, "allow": ["*"], "allow_deletes": True, "max_changes": 6} | changes)


def only(*addresses: str) -> list:
    return [each for each in RECORDED["resource_changes"] if each["address"] in addresses]


def test_what_stays_and_what_is_only_read_is_no_change():
    assert {change.address: change.actions for change in read().changes} == {
        "terraform_data.deleted": ("delete",),
        "terraform_data.forgotten": ("forget",),
        "terraform_data.replaced": ("delete", "create"),
        "terraform_data.updated": ("update",),
        'module.pool.terraform_data.web["eu-west-1"]': ("create",),
        'module.pool.terraform_data.web["us east"]': ("create",),
    }


def test_a_plan_within_every_limit_has_no_problem(tmp_path):
    assert problems(read(), module(tmp_path)) == ()


def test_every_way_beyond_the_limits_is_told(tmp_path):
    allow = ["module.pool.terraform_data.web[*]", "terraform_data.re*", "terraform_data.d*", "terraform_data.forgotten"]
    found = problems(read(), module(tmp_path, allow=allow, allow_deletes=False, max_changes=5))
    assert found == (
        "it changes 6 resources; max_changes is 5",
        "terraform_data.deleted would be deleted; allow_deletes is off",
        "terraform_data.forgotten would be forgotten; allow_deletes is off",
        "terraform_data.replaced would be replaced; allow_deletes is off",
        "terraform_data.updated is not in allow",
    )


@pytest.mark.parametrize(
    ("glob", "matches"),
    [
        ('module.pool.terraform_data.web["us east"]', True),
        ("module.*", True),
        ("*.web[*]", True),
        ("terraform_data.*", False),
        ("module.pool.terraform_data.web", False),
        ("module.pool.terraform_data.web[ue]", False),
        ("module?pool?*", False),
    ],
)
def test_only_the_star_of_a_glob_means_something(tmp_path, glob, matches):
    plan = read(resource_changes=only('module.pool.terraform_data.web["us east"]'))
    allowed = module(tmp_path).model_copy(update={"allow": (glob,)})
    assert (problems(plan, allowed) == ()) is matches


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"errored": True}, "the plan was not completed"),
        ({"action_invocations": [{"address": "action.aws_lambda_invoke.x"}]}, "it invokes 1 provider actions"),
        (
            {"resource_changes": [{"address": "a.b", "mode": "managed", "change": {"actions": ["teleport"]}}]},
            "a.b: teleport is not an action that is understood here",
        ),
    ],
)
def test_what_no_limit_covers_is_a_problem(tmp_path, changes, words):
    assert any(problem.startswith(words) for problem in problems(read(**changes), module(tmp_path)))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"format_version": "2.0"}', '{"format_version": "1.2", "resource_changes": [{"address": "a"}]}'],
)
def test_a_format_that_is_not_understood_is_refused(text):
    with pytest.raises(ExecutorError, match="not of a format that is understood") as caught:
        read_plan(text)
    assert caught.value.effect is Effect.ABSENT


def test_two_plans_are_the_same_down_to_the_values_of_what_they_change():
    changed = json.loads(json.dumps(RECORDED))
    assert read().same_as(read_plan(json.dumps(changed)))
    [kept] = [each for each in changed["resource_changes"] if each["address"] == "terraform_data.kept"]
    kept["change"]["after"]["input"] = kept["change"]["before"]["input"] = "b"
    assert read().same_as(read_plan(json.dumps(changed)))
    [updated] = [each for each in changed["resource_changes"] if each["address"] == "terraform_data.updated"]
    updated["change"]["before"]["input"] = "half-way"
    assert not read().same_as(read_plan(json.dumps(changed)))
