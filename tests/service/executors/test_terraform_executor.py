"""A real Terraform (or OpenTofu) with its built-in provider and local state, in a folder of the test's own.

Skipped where neither is installed; what needs no real one is in `test_terraform_limits` and `test_terraform_program`.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.outlived import running
from service.executors.terraform import TerraformExecutor
from service.ports import Call, Context, Effect, ExecutorError
from service.security.secrets import resolve_secret

BINARY = shutil.which("terraform") or shutil.which("tofu")
pytestmark = pytest.mark.skipif(BINARY is None, reason="neither terraform nor tofu is installed")

KEY = f"exec-{os.getpid()}:act"
"""Of this run alone: programs are found by it, and other tests may run on this machine."""

MAIN = """
variable "size" { default = 1 }
variable "text" { default = "plain" }
variable "who" {
  default   = "in-the-clear"
  sensitive = true
}
resource "terraform_data" "pool" {
  count = var.size
  input = "${var.text} ${var.who}"
}
"""
SLOW = """
resource "terraform_data" "first" {}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = "touch ../begun; while [ ! -e ../go ]; do sleep 0.05; done" }
}
resource "terraform_data" "last" { depends_on = [terraform_data.slow] }
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    (folder / "main.tf").write_text(MAIN)
    return folder


@pytest.fixture
def config(tmp_path: Path, module: Path) -> dict:
    variables = {
        "size": {"type": "number", "minimum": 0, "maximum": 9},
        "text": {"type": "string", "pattern": "[a-z${}. -]+"},
    }
    pool = {
        "path": str(module),
        "workspaces": ["default", "blue"],
        "variables": variables,
        "allow": ["terraform_data.pool[*]", "terraform_data.first", "terraform_data.slow", "terraform_data.last"],
    }
    return {"binary": BINARY, "folder": str(tmp_path / "plans"), "modules": {"pool": pool}, "lock_timeout": "0s"}


def make(config: dict, clock=utc_now, values: dict | None = None, **changes) -> TerraformExecutor:
    module = config["modules"]["pool"] | changes
    context = Context(clock=clock, secret=lambda reference: resolve_secret(reference, values or {}))
    return TerraformExecutor.build(config | {"modules": config["modules"] | {"pool": module}}, context)


def call(verb: str, timeout: float = 30, key: str = KEY, **arguments) -> Call:
    return Call(key=key, verb=verb, arguments={"module": "pool"} | arguments, timeout=timedelta(seconds=timeout))


def plan(executor: TerraformExecutor, workspace: str = "default", **variables) -> str:
    return executor.act(call("plan", workspace=workspace, variables=variables))["plan"]


def apply(executor: TerraformExecutor, digest: str, **changes) -> Call:
    """The call that applies it, with the state as it is now in `before`."""
    asked = call("apply", plan=digest, **changes)
    return replace(asked, before=executor.snapshot(asked))


def state(module: Path) -> dict:
    path = module / "terraform.tfstate"
    return json.loads(path.read_text()) if path.exists() else {"serial": 0, "resources": []}


def inputs_of(module: Path) -> list[str]:
    instances = [each for resource in state(module)["resources"] for each in resource["instances"]]
    return [each["attributes"]["input"]["value"] for each in instances]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_plan_is_saved_under_its_hash_and_tells_no_values(config, module, tmp_path):
    outputs = make(config).act(call("plan", variables={"size": 2}))
    saved = tmp_path / "plans" / outputs["plan"] / "plan"
    assert hashlib.sha256(saved.read_bytes()).hexdigest() == outputs["plan"]
    assert outputs["changed"] == 2
    assert outputs["changes"][1] == {"address": "terraform_data.pool[1]", "actions": ("create",)}
    assert outputs["problems"] == ()
    assert "in-the-clear" not in str(outputs)
    assert (tmp_path / "plans").stat().st_mode & 0o777 == 0o700
    assert saved.parent.stat().st_mode & 0o077 == 0
    assert not (module / "terraform.tfstate").exists()


def test_exactly_the_saved_plan_is_applied_and_only_once(config, module):
    executor = make(config)
    asked = apply(executor, plan(executor, size=2, text="hello"))
    assert executor.dry_run(asked) == (
        "would apply to module pool, workspace default: create terraform_data.pool[0], create terraform_data.pool[1]"
    )
    assert state(module)["resources"] == []
    assert executor.observe(asked) is Effect.ABSENT
    outputs = executor.act(asked)
    assert outputs == {"plan": asked.arguments["plan"], "changed": 2, "serial": state(module)["serial"]}
    assert inputs_of(module) == ["hello in-the-clear"] * 2
    assert executor.observe(asked) is Effect.HAPPENED
    with pytest.raises(ExecutorError, match="Saved plan is stale") as caught:
        executor.act(asked)
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)


def test_a_template_in_a_variable_stays_text(config, module):
    executor = make(config)
    executor.act(apply(executor, plan(executor, text="${path.module}")))
    assert inputs_of(module) == ["${path.module} in-the-clear"]


def test_each_workspace_has_a_state_of_its_own_and_its_plans_stay_there(config, module):
    executor = make(config)
    blue = plan(executor, "blue")
    with pytest.raises(ExecutorError, match="the plan was made for module pool, workspace blue") as caught:
        executor.act(call("apply", plan=blue))
    assert caught.value.effect is Effect.ABSENT
    executor.act(apply(executor, blue, workspace="blue"))
    assert (module / "terraform.tfstate.d/blue/terraform.tfstate").exists()
    assert state(module)["resources"] == []


def test_a_plan_of_another_module_is_refused(config, module, tmp_path):
    shutil.copytree(module, tmp_path / "other")
    config["modules"]["other"] = config["modules"]["pool"] | {"path": str(tmp_path / "other")}
    executor = make(config)
    with pytest.raises(ExecutorError, match="the plan was made for module pool"):
        executor.act(call("apply", module="other", plan=plan(executor)))


def test_the_same_plan_twice_is_one_plan(config, module, tmp_path):
    executor = make(config)
    made = {plan(executor) for _ in range(3)}  # Terraform notes the second in which it was made, no more
    assert {path.name for path in (tmp_path / "plans").iterdir()} == made


def test_a_plan_whose_file_was_changed_is_refused(config, module, tmp_path):
    executor = make(config)
    digest, other = plan(executor), plan(executor, size=3)
    saved = tmp_path / "plans" / digest / "plan"
    saved.chmod(0o600)
    shutil.copyfile(tmp_path / "plans" / other / "plan", saved)
    for method in (executor.dry_run, executor.act):
        with pytest.raises(
            ExecutorError, match=f"{digest} was changed: its file now has the SHA-256 {other}"
        ) as caught:
            method(call("apply", plan=digest))
        assert caught.value.effect is Effect.ABSENT
    assert state(module)["resources"] == []


@pytest.mark.parametrize(
    "file", ["main.tf", "more.tf", "terraform.tfvars", "parts/user-data.txt", ".terraform.lock.hcl"]
)
def test_a_plan_of_an_older_version_of_the_module_is_refused(config, module, file):
    executor = make(config)
    digest = plan(executor)
    (module / "parts").mkdir()
    with (module / file).open("a") as text:
        text.write("# changed\n")
    with pytest.raises(ExecutorError, match="module pool was changed since the plan was made"):
        executor.act(call("apply", plan=digest))


def test_a_plan_that_is_too_old_is_refused_and_swept_a_day_later(config, module, tmp_path):
    digest = plan(make(config))
    later = make(config, clock=lambda: utc_now() + timedelta(hours=25))
    with pytest.raises(ExecutorError, match=r"the plan was made 1d1h.* ago; plan_lifetime is 1d"):
        later.act(call("apply", plan=digest))
    kept = plan(later, size=2)
    assert {path.name for path in (tmp_path / "plans").iterdir()} == {digest, kept}
    last = plan(make(config, clock=lambda: utc_now() + timedelta(hours=49)), size=3)
    assert {path.name for path in (tmp_path / "plans").iterdir()} == {last}


@pytest.mark.parametrize(
    ("changes", "size", "words"),
    [
        ({"allow": ["terraform_data.pool[0]"]}, 2, r"terraform_data\.pool\[1\] is not in allow"),
        ({"max_changes": 2}, 3, "it changes 3 resources; max_changes is 2"),
        ({}, 0, r"terraform_data\.pool\[0\] would be deleted; allow_deletes is off"),
    ],
)
def test_a_plan_beyond_the_limits_can_be_made_and_read_but_not_applied(config, module, changes, size, words):
    start = make(config)
    start.act(apply(start, plan(start)))
    before = state(module)
    executor = make(config, **changes)
    outputs = executor.act(call("plan", variables={"size": size, "text": "new"}))
    assert len(outputs["problems"]) == 1
    for method in (executor.dry_run, executor.act):
        with pytest.raises(ExecutorError, match=rf"goes beyond executors\.terraform\.modules\.pool: {words}") as caught:
            method(call("apply", plan=outputs["plan"]))
        assert caught.value.effect is Effect.ABSENT
    assert state(module) == before


def test_deletes_are_applied_where_the_settings_allow_them(config, module):
    executor = make(config, allow_deletes=True)
    executor.act(apply(executor, plan(executor, size=2)))
    executor.act(apply(executor, plan(executor, size=0)))
    assert state(module)["resources"] == []


def test_a_configuration_that_cannot_be_planned_is_told_in_terraforms_words(config, module):
    (module / "main.tf").write_text('resource "terraform_data" "a" { input = var.missing }')
    with pytest.raises(ExecutorError, match=r"(?s)terraform plan ended with 1: .*undeclared input variable") as caught:
        make(config).act(call("plan"))
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)


def test_a_state_that_is_locked_is_worth_a_retry(config, module):
    executor = make(config)
    executor.act(apply(executor, plan(executor)))
    asked = apply(executor, plan(executor, text="new"))
    with (module / "terraform.tfstate").open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        for attempt in (call("plan"), asked):
            with pytest.raises(ExecutorError, match="Error acquiring the state lock") as caught:
                executor.act(attempt)
            assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, True)
        assert executor.observe(asked) is Effect.UNKNOWN, "somebody is at work on the state"
    executor.act(asked)
    assert inputs_of(module) == ["new in-the-clear"]


def test_terraform_gets_no_variable_but_those_that_are_named(config, module, monkeypatch, tmp_path):
    monkeypatch.setenv("NAMED", "yes")
    monkeypatch.setenv("FOREIGN", "no")
    command = "env > ../seen; echo $CLOUD_TOKEN >&2; exit 3"
    (module / "main.tf").write_text(
        f'resource "terraform_data" "slow" {{\n  provisioner "local-exec" {{ command = "{command}" }}\n}}\n'
    )
    secrets = {"env": ["NAMED", "NOT_SET"], "secrets": {"CLOUD_TOKEN": "env:TOKEN"}}
    executor = make(config, values={"TOKEN": "s3cret-token"}, **secrets)
    with pytest.raises(ExecutorError, match=r"exit\sstatus 3") as caught:
        executor.act(apply(executor, plan(executor)))
    assert caught.value.effect is Effect.UNKNOWN
    assert "s3cret-token" not in str(caught.value)
    assert r"***" in str(caught.value)
    seen = dict(line.split("=", 1) for line in (module.parent / "seen").read_text().splitlines())
    assert (seen["NAMED"], seen["CLOUD_TOKEN"]) == ("yes", "s3cret-token")
    assert seen["SUTURE_IDEMPOTENCY_KEY"] == KEY
    assert not {"FOREIGN", "NOT_SET", "TF_CLI_CONFIG_FILE"} & set(seen)


def test_an_apply_that_is_cancelled_ends_what_is_under_way_and_keeps_the_state(config, module):
    (module / "main.tf").write_text(SLOW)
    executor = make(config)
    asked = replace(apply(executor, plan(executor)), cancelled=(module.parent / "begun").exists)
    with pytest.raises(ExecutorError, match="told to stop") as caught:
        executor.act(asked)
    assert caught.value.effect is Effect.UNKNOWN
    names = {resource["name"] for resource in state(module)["resources"]}
    assert "first" in names
    assert "last" not in names
    assert running(asked.key) == ()
    assert executor.observe(asked) is Effect.UNKNOWN, "a part of it is left"


def test_an_apply_that_runs_out_of_time_is_told_to_stop_before_it_is_ended(config, module):
    (module / "main.tf").write_text(SLOW)
    executor = make(config)
    asked = replace(apply(executor, plan(executor)), timeout=timedelta(seconds=4))
    with pytest.raises(ExecutorError, match=r"(?s)ended with 1: .*told to stop") as caught:
        executor.act(asked)
    assert caught.value.effect is Effect.UNKNOWN
    assert "first" in {resource["name"] for resource in state(module)["resources"]}
    assert running(asked.key) == ()


def test_an_apply_that_was_cancelled_before_it_began_does_nothing(config, module):
    executor = make(config)
    asked = apply(executor, plan(executor))
    looked = replace(asked, cancelled=lambda: True)
    with pytest.raises(ExecutorError, match="cancelled") as caught:
        executor.act(looked)
    assert caught.value.effect is Effect.ABSENT
    assert executor.observe(looked) is Effect.ABSENT
    assert state(module)["resources"] == []


ACT = """
import json, sys
from datetime import timedelta
from models.domain.base import utc_now
from service.executors.terraform import TerraformExecutor
from service.ports import Call, Context
config, arguments, key = json.loads(sys.argv[1])
executor = TerraformExecutor.build(config, Context(clock=utc_now, secret=str))
executor.act(Call(key=key, verb="apply", arguments=arguments, timeout=timedelta(seconds=30)))
"""


@pytest.fixture
def crashed(config, module):
    """A service that was killed while Terraform applied a plan; Terraform goes on."""
    (module / "main.tf").write_text(SLOW)
    executor = make(config)
    asked = apply(executor, plan(executor))
    argument = json.dumps([config, dict(asked.arguments), asked.key])
    service = subprocess.Popen([sys.executable, "-c", ACT, argument], cwd=Path(__file__).parents[3])
    wait_for((module.parent / "begun").exists)
    service.kill()
    service.wait()
    yield executor, asked
    (module.parent / "go").touch()
    wait_for(lambda: not running(asked.key))


def test_after_a_crash_the_apply_that_goes_on_is_waited_for_and_found(crashed, module):
    executor, asked = crashed
    assert running(asked.key)
    assert executor.observe(replace(asked, timeout=timedelta(seconds=0.3))) is Effect.UNKNOWN, "it still runs"
    (module.parent / "go").touch()
    assert executor.observe(asked) is Effect.HAPPENED
    assert {resource["name"] for resource in state(module)["resources"]} == {"first", "slow", "last"}


def test_an_apply_that_was_killed_half_way_is_unknown(crashed, module):
    executor, asked = crashed
    [terraform] = running(asked.key)
    os.killpg(terraform, signal.SIGKILL)
    assert executor.observe(asked) is Effect.UNKNOWN


def begun(executor: TerraformExecutor, config: dict, asked: Call) -> None:
    """As a crash leaves it between the note that an apply begins and its first change."""
    key = hashlib.sha256(asked.key.encode()).hexdigest()
    (Path(config["folder"]) / asked.arguments["plan"] / f"started-{key}").touch()


def test_an_update_that_was_begun_and_changed_nothing_is_absent_and_a_creation_unknown(config, module):
    executor = make(config)
    creation = apply(executor, plan(executor))
    begun(executor, config, creation)
    assert executor.observe(creation) is Effect.UNKNOWN, "what was created is perhaps not in the state"
    executor.act(creation)
    update = apply(executor, plan(executor, text="new"))
    begun(executor, config, update)
    assert executor.observe(update) is Effect.ABSENT
    executor.act(update)
    assert executor.observe(update) is Effect.HAPPENED


def test_what_another_call_began_is_not_of_this_one(config, module):
    executor = make(config)
    asked = apply(executor, plan(executor))
    executor.act(asked)
    assert executor.observe(replace(asked, key="exec-2:act")) is Effect.ABSENT


def test_a_plan_that_is_gone_cannot_be_asked_about(config, module, tmp_path):
    executor = make(config)
    asked = apply(executor, plan(executor))
    executor.act(asked)
    shutil.rmtree(tmp_path / "plans")
    assert executor.observe(asked) is Effect.UNKNOWN
    with pytest.raises(ExecutorError, match="there is no saved plan"):
        executor.act(asked)


def test_a_secret_that_is_missing_is_told_at_the_start(config):
    with pytest.raises(BadInput, match=r"modules\.pool\.secrets\.CLOUD_TOKEN"):
        make(config, secrets={"CLOUD_TOKEN": "env:NOT_SET"})
