"""What needs no real Terraform, or what a real one would not do: hang, answer nonsense, answer without end.

A small program stands in for it. It speaks the recorded plan format alone, so that this part runs everywhere;
`test_terraform_executor` is the same against the real one.
"""

import json
import os
import sys
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

KEY = f"exec-{os.getpid()}:act"
"""Of this run alone: programs are found by it, and other tests may run on this machine."""
RECORDED = Path(__file__).parent / "terraform_plan.json"
STAND_IN = """#!{python} -I
import json, os, pathlib, sys, time
verb, log, state = sys.argv[1], pathlib.Path({log!r}), pathlib.Path({state!r})
with log.open("a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ["TF_WORKSPACE"]]) + "\\n")
{behaviour}
if verb == "plan":
    applied = state.exists()
    out = next(each for each in sys.argv if each.startswith("-out="))[5:]
    pathlib.Path(out).write_text(f"a plan of {{time.time_ns()}}")
    sys.exit(0 if applied else 2)
if verb == "show":
    print(pathlib.Path({recorded!r}).read_text())
if verb == "state":
    print(state.read_text() if state.exists() else "")
if verb == "apply":
    state.write_text(json.dumps({{"lineage": "one", "serial": 1, "version": 4}}))
"""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., TerraformExecutor]:
    module = tmp_path / "pool"
    module.mkdir()
    (module / "main.tf").write_text("# nothing reads this")

    def build(behaviour: str = "", top: dict | None = None, **changes) -> TerraformExecutor:
        binary = tmp_path / "stand-in"
        words = {"log": str(tmp_path / "log"), "state": str(tmp_path / "state"), "recorded": str(RECORDED)}
        binary.write_text(STAND_IN.format(python=sys.executable, behaviour=behaviour, **words))
        binary.chmod(0o755)
        pool = {"path": str(module), "allow": ["*"], "allow_deletes": True, "max_changes": 6}
        pool["variables"] = {
            "size": {"type": "number", "minimum": 1, "maximum": 9},
            "zone": {"type": "string"},
            "public": {"type": "bool"},
        }
        config = {"binary": str(binary), "folder": str(tmp_path / "plans"), "modules": {"pool": pool | changes}}
        secrets = {"TOKEN": "s3cret:token"}
        context = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, secrets))
        return TerraformExecutor.build(config | (top or {}), context)

    return build


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], list]:
    """The command lines, with the workspace, that the stand-in was started with."""
    log = tmp_path / "log"
    return lambda: [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def call(verb: str, timeout: float = 20, **arguments) -> Call:
    arguments = {"module": "pool"} | arguments
    return Call(key=KEY, verb=verb, arguments=arguments, timeout=timedelta(seconds=timeout))


def test_plan_and_apply_with_the_recorded_format(make, runs, tmp_path):
    executor = make()
    outputs = executor.act(call("plan", variables={"size": 3, "zone": "eu-west-1", "public": False}))
    assert outputs["changed"] == 6
    folder = tmp_path / "plans" / outputs["plan"]
    assert json.loads((folder / "variables.tfvars.json").read_text()) == {
        "size": 3, "zone": "eu-west-1", "public": False,
    }  # fmt: skip
    asked = call("apply", plan=outputs["plan"])
    asked = replace(asked, before=executor.snapshot(asked))
    assert asked.before == {"lineage": "", "serial": 0}
    assert executor.observe(asked) is Effect.ABSENT
    assert executor.act(asked) == {"plan": outputs["plan"], "changed": 6, "serial": 1}
    assert executor.observe(asked) is Effect.HAPPENED
    [applied] = [(argv, workspace) for argv, workspace in runs() if argv[0] == "apply"]
    expected = ["apply", "-input=false", "-no-color", "-lock-timeout=10s", str(folder / "plan")]
    assert applied == (expected, "default")


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("destroy", {}, "there is no terraform/destroy"),
        ("plan", {"module": "other"}, "module other is not allowed"),
        ("plan", {"module": "../pool"}, "arguments do not fit: module"),
        ("plan", {"workspace": "blue"}, "workspace blue is not allowed"),
        ("plan", {"workspace": "-chdir=/"}, "arguments do not fit: workspace"),
        ("plan", {"variables": {"other": 1}}, "variable other may not be set"),
        ("plan", {"variables": {"size": 10}}, "variables.size must be 9 or less"),
        ("plan", {"variables": {"size": 0}}, "variables.size must be 1 or more"),
        ("plan", {"variables": {"size": "3"}}, "variables.size must be a number"),
        ("plan", {"variables": {"size": True}}, "variables.size must be a number"),
        ("plan", {"variables": {"size": float("nan")}}, "variables.size must be a number"),
        ("plan", {"variables": {"zone": 3}}, "variables.zone must be a string"),
        ("plan", {"variables": {"zone": "${path.module}"}}, "variables.zone does not match its pattern"),
        ("plan", {"variables": {"zone": "eu\n"}}, "variables.zone does not match its pattern"),
        ("plan", {"variables": {"public": "true"}}, "variables.public must be true or false"),
        ("plan", {"variables": {"zone": ["a"]}}, "arguments do not fit: variables"),
        ("apply", {}, "arguments do not fit: plan"),
        ("apply", {"plan": "../" + "0" * 61}, "arguments do not fit: plan"),
        ("apply", {"plan": "0" * 64}, "there is no saved plan 0000"),
    ],
)
def test_what_is_not_allowed_is_refused_before_terraform_runs(make, runs, verb, arguments, words):
    executor = make()
    for method in (executor.dry_run, executor.act):
        with pytest.raises(ExecutorError, match=words) as caught:
            method(call(verb, **arguments))
        assert caught.value.effect is Effect.ABSENT
    assert runs() == []


def test_a_dry_run_of_a_plan_says_what_would_be_planned(make, runs):
    assert (
        make().dry_run(call("plan", variables={"size": 3})) == "would plan module pool, workspace default, with size=3"
    )
    assert runs() == []


def test_plans_and_applies_of_one_state_are_one_target():
    assert TerraformExecutor.target("plan", {"module": "pool"}) == "terraform:pool/default"
    apply = {"module": "pool", "workspace": "blue", "plan": "0" * 64}
    assert TerraformExecutor.target("apply", apply) == "terraform:pool/blue"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timeout": timedelta(seconds=0.5)}, r"terraform plan was ended after 500ms"),
        ({"cancelled": lambda: True}, "terraform plan was cancelled"),
    ],
)
def test_a_plan_that_hangs_is_ended_and_leaves_nothing(make, tmp_path, changes, words):
    asked = replace(call("plan"), **changes)
    with pytest.raises(ExecutorError, match=words) as caught:
        make("time.sleep(60)").act(asked)
    assert caught.value.effect is Effect.ABSENT
    assert running(asked.key) == ()
    assert list((tmp_path / "plans").iterdir()) == []


def test_an_apply_that_does_not_heed_the_request_to_stop_is_ended_and_unknown(make):
    executor = make("import signal\nif verb == 'apply': signal.signal(2, signal.SIG_IGN); time.sleep(60)")
    digest = executor.act(call("plan"))["plan"]
    asked = call("apply", timeout=2, plan=digest)
    with pytest.raises(ExecutorError, match=r"terraform apply was ended after 2s \(it was told to stop\)") as caught:
        executor.act(asked)
    assert caught.value.effect is Effect.UNKNOWN
    assert running(asked.key) == ()
    assert executor.observe(asked) is Effect.UNKNOWN


def test_an_apply_that_began_is_not_taken_for_one_that_could_not(make):
    executor = make("if verb == 'apply': time.sleep(60)")
    digest = executor.act(call("plan"))["plan"]
    asked = []

    def cancelled() -> bool:
        asked.append(None)
        if len(asked) > 1:  # the first is before the start
            raise ConnectionResetError("the database is away")
        return False

    with pytest.raises(ConnectionResetError):  # what is no ExecutorError counts as "not known"
        executor.act(replace(call("apply", plan=digest), cancelled=cancelled))
    assert running(KEY) == ()


def test_a_state_that_cannot_be_read_after_the_apply_does_not_undo_it(make):
    executor = make("if verb == 'state' and state.exists(): sys.exit('the backend is away')")
    digest = executor.act(call("plan"))["plan"]
    with pytest.raises(ExecutorError, match="applied, but terraform state ended with 1: the backend is away") as caught:
        executor.act(call("apply", plan=digest))
    assert caught.value.effect is Effect.HAPPENED


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("if verb == 'show': print('not JSON'); sys.exit()", "not of a format that is understood"),
        ("if verb == 'show': print(' ' * 200_000); sys.exit()", "answers with more than 65536 bytes"),
        ("if verb == 'show': sys.exit('no ' + os.environ['CLOUD_TOKEN'])", r"terraform show ended with 1: no \*\*\*"),
        (
            "from urllib.parse import quote\nif verb == 'show': sys.exit('no ' + quote(os.environ['CLOUD_TOKEN']))",
            r"terraform show ended with 1: no \*\*\*",
        ),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_and_no_plan_is_kept(make, tmp_path, behaviour, words):
    executor = make(behaviour, {"output_limit": 65_536}, secrets={"CLOUD_TOKEN": "env:TOKEN"})
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(call("plan"))
    assert caught.value.effect is Effect.ABSENT
    assert list((tmp_path / "plans").iterdir()) == []


def test_the_target_is_asked_about_an_act_that_was_cancelled(make):
    executor = make("if verb == 'state': time.sleep(0.6)")
    asked = call("apply", plan=executor.act(call("plan"))["plan"])
    asked = replace(asked, before=executor.snapshot(asked))
    executor.act(asked)
    assert executor.observe(replace(asked, cancelled=lambda: True)) is Effect.HAPPENED


def test_a_state_of_another_lineage_is_not_judged(make, tmp_path):
    executor = make()
    asked = call("apply", plan=executor.act(call("plan"))["plan"])
    asked = replace(asked, before={"lineage": "another", "serial": 0})
    executor.act(asked)
    assert executor.observe(asked) is Effect.UNKNOWN


@pytest.mark.parametrize(
    ("top", "changes", "words"),
    [
        ({"binary": "terraform"}, {}, "binary"),
        ({"binary": str(RECORDED)}, {}, "binary"),
        ({"folder": "plans"}, {}, "folder"),
        ({"folder": "/usr"}, {}, "folder: .*chmod 700"),
        ({"modules": {}}, {}, "modules"),
        ({}, {"path": "/nowhere"}, r"modules\.pool\.path"),
        ({}, {"allow": []}, r"modules\.pool\.allow"),
        ({}, {"max_changes": 0}, r"modules\.pool\.max_changes"),
        ({}, {"env": ["TF_CLI_ARGS_apply"]}, "TF_CLI_ARGS_apply is not for the settings"),
        ({}, {"secrets": {"TF_WORKSPACE": "env:TOKEN"}}, "TF_WORKSPACE is not for the settings"),
        ({}, {"variables": {"x": {"type": "string", "pattern": "("}}}, "not a regular expression"),
        ({}, {"secrets": {"CLOUD_TOKEN": "env:NOT_SET"}}, r"modules\.pool\.secrets\.CLOUD_TOKEN"),
    ],
)
def test_bad_settings_are_told_with_their_key(make, top, changes, words):
    with pytest.raises(BadInput, match=words):
        make(top=top, **changes)


def test_a_folder_that_cannot_be_used_is_a_refusal(make, tmp_path):
    executor = make()
    (tmp_path / "plans").touch()
    with pytest.raises(ExecutorError, match="files of the plan or the module cannot be used") as caught:
        executor.act(call("plan"))
    assert caught.value.effect is Effect.ABSENT
