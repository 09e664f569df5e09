"""Aliases, concurrency and plain invocations against moto, which stands in for AWS inside this process.

What moto cannot show (a function that fails, a lost connection, what exactly was sent) is in `test_lambda_edge`.
"""

import io
import json
import zipfile
from datetime import timedelta

import boto3
import pytest
from moto import mock_aws
from moto.sts.models import sts_backends

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.aws_lambda import LambdaExecutor
from service.ports import Call, Context, Effect, ExecutorError
from service.security.secrets import resolve_secret

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:drain-queue"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/suture"
SECRETS = {"AWS_ID": "AKIABASE", "AWS_SECRET": "base-secret", "EXTERNAL": "suture-42"}


def settings(**changes) -> dict:
    function = {
        "arn": ARN,
        "invoke": ["$LATEST", "live"],
        "aliases": ["live"],
        "concurrency": {"minimum": 1, "maximum": 50, "unreserved": True},
    }
    return {
        "role_arn": ROLE,
        "access_key_id": "env:AWS_ID",
        "secret_access_key": "env:AWS_SECRET",
        "functions": {"drain-queue": function | changes},
    }


def make(config: dict | None = None) -> LambdaExecutor:
    context = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, SECRETS))
    return LambdaExecutor.build(config or settings(), context)


def call(verb: str, before: dict | None = None, key: str = "exec-1:act", **arguments) -> Call:
    arguments = {"function": "drain-queue"} | arguments
    return Call(key=key, verb=verb, arguments=arguments, timeout=timedelta(seconds=20), before=before or {})


@pytest.fixture
def account(monkeypatch):
    """An account with nothing in it."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws(config={"lambda": {"use_docker": False}}):
        sts_backends[ACCOUNT]["aws"].assumed_roles.clear()
        yield


@pytest.fixture
def aws(account):
    """A function with two versions; the alias `live` points at the first."""
    iam = boto3.client("iam", region_name=REGION)
    role = iam.create_role(RoleName="function", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("app.py", "def handler(event, context): return event")
    client = boto3.client("lambda", region_name=REGION)
    client.create_function(
        FunctionName="drain-queue", Runtime="python3.11", Role=role, Handler="app.handler",
        Code={"ZipFile": code.getvalue()}, Publish=True,
    )  # fmt: skip
    code.seek(0)
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("app.py", "def handler(event, context): return 2")
    client.update_function_code(FunctionName="drain-queue", ZipFile=code.getvalue(), Publish=True)
    client.create_alias(
        FunctionName="drain-queue", Name="live", FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}},
    )  # fmt: skip
    return client


def sessions() -> list[tuple[str, str]]:
    """Action and resource of each session that was assumed, in order."""
    found = []
    for role in sts_backends[ACCOUNT]["aws"].assumed_roles:
        policy = json.loads(role.policy)
        [statement] = policy["Statement"]
        assert statement["Effect"] == "Allow"
        assert role.role_arn == ROLE
        found.append((statement["Action"], statement["Resource"]))
    return found


def test_an_alias_is_pointed_at_a_version_and_all_of_its_traffic_with_it(aws):
    executor = make()
    asked = call("publish-alias", alias="live", version="2")
    assert executor.dry_run(asked) == "would point alias live of drain-queue from version 1 to 2"
    before = executor.snapshot(asked)
    assert before == {"version": "1", "weights": {"2": 0.25}}
    assert executor.observe(asked) is Effect.ABSENT
    outputs = executor.act(call("publish-alias", before, alias="live", version="2"))
    assert outputs == {"alias": "live", "version": "2", "before_version": "1"}
    now = aws.get_alias(FunctionName="drain-queue", Name="live")
    assert now["FunctionVersion"] == "2"
    assert not now.get("RoutingConfig", {}).get("AdditionalVersionWeights")
    assert executor.observe(asked) is Effect.HAPPENED
    assert executor.act(asked)["version"] == "2", "twice is the same as once"


def test_an_alias_that_still_shares_its_traffic_has_not_been_pointed(aws):
    assert make().observe(call("publish-alias", alias="live", version="1")) is Effect.ABSENT


def test_reserved_concurrency_is_set_and_taken_away(aws):
    executor = make()
    asked = call("set-concurrency", reserved=5)
    assert executor.dry_run(asked) == "would change drain-queue from no reserved concurrency to reserved concurrency 5"
    assert executor.snapshot(asked) == {"reserved": None}
    assert executor.observe(asked) is Effect.ABSENT
    assert executor.act(call("set-concurrency", {"reserved": None}, reserved=5)) == {"reserved": 5, "before": None}
    assert aws.get_function_concurrency(FunctionName="drain-queue")["ReservedConcurrentExecutions"] == 5
    assert executor.observe(asked) is Effect.HAPPENED
    back = call("set-concurrency", {"reserved": 5}, reserved=None)
    assert executor.act(back) == {"reserved": None, "before": 5}
    assert executor.observe(back) is Effect.HAPPENED
    assert "ReservedConcurrentExecutions" not in aws.get_function_concurrency(FunctionName="drain-queue")


def test_each_request_has_a_session_that_may_do_that_one_thing(aws):
    executor = make()
    for asked in (
        call("invoke"),
        call("invoke", qualifier="live"),
        call("publish-alias", alias="live", version="2"),
        call("set-concurrency", reserved=3),
        call("set-concurrency", reserved=None),
    ):
        executor.act(asked)
    executor.snapshot(call("publish-alias", alias="live", version="2"))
    executor.observe(call("set-concurrency", reserved=3))
    assert sessions() == [
        ("lambda:InvokeFunction", ARN),
        ("lambda:InvokeFunction", f"{ARN}:live"),
        ("lambda:UpdateAlias", ARN),
        ("lambda:PutFunctionConcurrency", ARN),
        ("lambda:DeleteFunctionConcurrency", ARN),
        ("lambda:GetAlias", ARN),
        ("lambda:GetFunctionConcurrency", ARN),
    ]


def test_a_session_is_named_after_the_key_in_letters_that_sts_takes(aws):
    executor = make()
    keys = ["exec-1:act", "exec-1:act/ü €", "x" * 200 + "1", "x" * 200 + "2"]
    for key in keys:
        executor.act(call("invoke", key=key))
    names = [role.session_name for role in sts_backends[ACCOUNT]["aws"].assumed_roles]
    assert names[0].startswith("suture-exec-1-act-")
    assert len(set(names)) == len(keys)
    assert all(len(name) <= 64 and name.isascii() and " " not in name for name in names)


def test_an_invocation_gives_the_answer_cut_at_the_limit(aws):
    outputs = make().act(call("invoke", payload={"queue": "orders"}))
    assert json.loads(outputs["payload"]) == {"queue": "orders"}
    assert (outputs["status"], outputs["truncated"]) == (200, False)
    cut = make(settings() | {"response_limit": 1024}).act(call("invoke", payload={"text": "x" * 2000}))
    assert (len(cut["payload"]), cut["truncated"]) == (1024, True)


def test_a_dry_run_of_an_invocation_asks_lambda(aws):
    assert make().dry_run(call("invoke", qualifier="live")) == "would invoke drain-queue:live; AWS permits it"


def test_what_lambda_does_not_know_is_a_failure_without_effect(aws):
    with pytest.raises(ExecutorError, match=r"live of drain-queue cannot be changed: .*ResourceNotFound") as caught:
        make().act(call("publish-alias", alias="live", version="9"))
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)
    aws.delete_alias(FunctionName="drain-queue", Name="live")
    with pytest.raises(ExecutorError, match="alias live of drain-queue cannot be read"):
        make().snapshot(call("publish-alias", alias="live", version="2"))
    assert make().observe(call("publish-alias", alias="live", version="2")) is Effect.UNKNOWN


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("delete", {}, "there is no lambda/delete"),
        ("invoke", {"function": "other"}, "function other is not allowed"),
        ("invoke", {"function": ARN.replace(REGION, "us-east-1")}, "is not allowed"),
        ("invoke", {"function": "drain-queue:live"}, "arguments do not fit: function"),
        ("invoke", {"function": f"{ARN}:live"}, "arguments do not fit: function"),
        ("invoke", {"function": "drain-queue\n"}, "arguments do not fit: function"),
        ("invoke", {"qualifier": "2"}, "drain-queue:2 may not be invoked"),
        ("invoke", {"payload": ["no", "object"]}, "arguments do not fit: payload"),
        ("invoke", {"payload": {"x": "y" * 1_100_000}}, "longer than 1048576 bytes"),
        ("publish-alias", {"alias": "beta", "version": "2"}, "alias beta of drain-queue may not be changed"),
        ("publish-alias", {"alias": "1", "version": "2"}, "arguments do not fit: alias"),
        ("publish-alias", {"alias": "live", "version": "$LATEST"}, "arguments do not fit: version"),
        ("set-concurrency", {"reserved": 0}, "may have a reservation of 1 to 50"),
        ("set-concurrency", {"reserved": 51}, "may have a reservation of 1 to 50"),
        ("set-concurrency", {}, "arguments do not fit: reserved"),
    ],
)
def test_what_is_not_allowed_is_refused_before_any_credentials_are_asked_for(account, verb, arguments, words):
    executor = make()
    for method in (executor.dry_run, executor.snapshot, executor.act):
        if "longer" in words and method == executor.snapshot:
            continue  # it has nothing to ask
        with pytest.raises(ExecutorError, match=words) as caught:
            method(call(verb, **arguments))
        assert caught.value.effect is Effect.ABSENT
    assert sessions() == []


@pytest.mark.parametrize(
    ("changes", "verb", "arguments", "words"),
    [
        ({"concurrency": None}, "set-concurrency", {"reserved": 5}, r"add executors\.lambda\.functions\.drain-queue"),
        ({"concurrency": {"minimum": 1, "maximum": 5}}, "set-concurrency", {"reserved": None}, "may not be taken away"),
        ({"invoke": []}, "invoke", {}, "may not be invoked"),
    ],
)
def test_what_the_settings_leave_out_is_not_allowed(account, changes, verb, arguments, words):
    with pytest.raises(ExecutorError, match=words):
        make(settings(**changes)).act(call(verb, **arguments))


def test_two_spellings_of_a_function_are_one_target(aws):
    assert LambdaExecutor.target("invoke", {"function": "drain-queue"}) == "lambda:drain-queue"
    assert LambdaExecutor.target("set-concurrency", {"function": ARN, "reserved": 2}) == "lambda:drain-queue"
    assert make().act(call("set-concurrency", function=ARN, reserved=2))["reserved"] == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"role_arn": "suture"}, "role_arn"),
        ({"functions": {}}, "functions"),
        ({"functions": {"other": {"arn": ARN}}}, "must have the name at the end of its arn, drain-queue"),
        ({"functions": {"drain-queue": {"arn": f"{ARN}:live"}}}, r"functions\.drain-queue\.arn"),
        ({"functions": {"drain-queue": {"arn": ARN, "concurrency": {"minimum": 2, "maximum": 1}}}}, "above maximum"),
        ({"functions": {"drain-queue": {"arn": ARN, "aliases": ["7"]}}}, "aliases"),
        ({"secret_access_key": None}, "go together"),
        ({"secret_access_key": "env:NOT_SET"}, "lambda.secret_access_key"),
        ({"external_id": "env:NOT_SET"}, "lambda.external_id"),
        ({"endpoint_url": "https://me:pw@host"}, "endpoint_url"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_bad_settings_are_told_with_their_key(changes, words):
    with pytest.raises(BadInput, match=words):
        make(settings() | changes)


def test_without_the_library_the_settings_are_refused_with_the_extra_to_install(monkeypatch):
    monkeypatch.setattr("service.executors.aws_lambda.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'suture\[aws\]'"):
        make()
