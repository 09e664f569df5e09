"""What is sent to STS and Lambda, byte for byte, and what becomes of their errors.

AWS cannot run here. A small server on loopback speaks for it at the edge: AssumeRole in XML and the requests of
Lambda's REST API, in the forms that the API references document.
"""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from models.domain.base import utc_now
from service.executors.aws_lambda import LambdaExecutor
from service.ports import Call, Context, Effect, ExecutorError
from service.security.secrets import resolve_secret

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:drain-queue"
ROLE = "arn:aws:iam::123456789012:role/suture"
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>session-secret</SecretAccessKey>
<SessionToken>session-token</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""
REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>suture may not assume</Message></Error></ErrorResponse>"""
OK = (200, {"X-Amz-Executed-Version": "7"}, b'{"drained": 12}')


@dataclass
class Edge:
    """Both services on one port. `answers`: what Lambda says, one by one, then OK; None cuts the connection."""

    port: int = 0
    sts: tuple[int, str] = (200, ASSUMED)
    answers: list = field(default_factory=list)
    assumed: list[dict[str, str]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    edge: Edge

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/":
            self.edge.assumed.append({name: value for name, [value] in parse_qs(body.decode()).items()})
            self.answer(self.edge.sts[0], {"Content-Type": "text/xml"}, self.edge.sts[1].encode())
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.edge.requests.append((self.command, self.path, headers, body))
        answer = self.edge.answers.pop(0) if self.edge.answers else OK
        if answer == "hold":
            self.edge.hold.wait(20)
        elif answer is None:
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer(*answer)

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815  (the names that http.server calls)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def edge() -> Iterator[Edge]:
    state = Edge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"edge": state}))
    server.daemon_threads = False
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    state.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def make(edge, monkeypatch) -> Callable[..., LambdaExecutor]:
    for name in ("HTTP_PROXY", "http_proxy", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    secrets = {"AWS_ID": "AKIABASE", "AWS_SECRET": "base-secret", "EXTERNAL": "suture-42"}

    def build(*, lambda_url: str | None = None, **function) -> LambdaExecutor:
        config = {
            "role_arn": ROLE,
            "external_id": "env:EXTERNAL",
            "access_key_id": "env:AWS_ID",
            "secret_access_key": "env:AWS_SECRET",
            "sts_endpoint_url": edge.url,
            "endpoint_url": lambda_url or edge.url,
            "functions": {"drain-queue": {"arn": ARN, "invoke": ["$LATEST", "live"], "aliases": ["live"]} | function},
        }
        context = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, secrets))
        return LambdaExecutor.build(config, context)

    return build


def call(verb: str = "invoke", timeout: float = 20, **arguments) -> Call:
    arguments = {"function": "drain-queue"} | arguments
    return Call(key="exec-1:act", verb=verb, arguments=arguments, timeout=timedelta(seconds=timeout))


def failure(status: int, code: str, words: str = "no") -> tuple[int, dict[str, str], bytes]:
    return status, {"x-amzn-ErrorType": code}, json.dumps({"message": words}).encode()


def test_the_session_may_do_one_thing_for_fifteen_minutes_and_is_what_signs_the_request(edge, make):
    make().act(call(qualifier="live"))
    [asked] = edge.assumed
    assert json.loads(asked["Policy"]) == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": f"{ARN}:live"}],
    }
    assert asked["RoleArn"] == ROLE
    assert asked["DurationSeconds"] == "900"
    assert asked["RoleSessionName"].startswith("suture-exec-1-act-")
    assert asked["ExternalId"] == "suture-42"
    [(_, _, headers, _)] = edge.requests
    assert "Credential=ASIASESSION/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "session-token"


def test_an_invocation_waits_for_the_answer_and_carries_the_key(edge, make):
    outputs = make(key_field="request_id").act(call(payload={"queue": "orders"}))
    assert outputs == {"status": 200, "version": "7", "payload": '{"drained": 12}', "truncated": False}
    [(method, path, headers, body)] = edge.requests
    assert (method, path.endswith("/invocations")) == ("POST", True)
    assert headers["x-amz-invocation-type"] == "RequestResponse"
    context = json.loads(base64.b64decode(headers["x-amz-client-context"]))
    assert context == {"custom": {"suture_idempotency_key": "exec-1:act"}}
    assert json.loads(body) == {"queue": "orders", "request_id": "exec-1:act"}


def test_the_key_field_of_the_payload_is_not_for_the_caller(edge, make):
    with pytest.raises(ExecutorError, match=r"payload\.request_id is where the idempotency key goes") as caught:
        make(key_field="request_id").act(call(payload={"request_id": "mine"}))
    assert caught.value.effect is Effect.ABSENT
    assert edge.requests == []


def test_a_dry_run_of_an_invocation_is_lambdas_own(edge, make):
    edge.answers = [(204, {}, b"")]
    assert "AWS permits it" in make().dry_run(call())
    assert edge.requests[0][2]["x-amz-invocation-type"] == "DryRun"
    edge.answers = [failure(403, "AccessDeniedException", "not authorized to perform lambda:InvokeFunction")]
    with pytest.raises(ExecutorError, match=r"drain-queue cannot be invoked: .*not authorized") as caught:
        make().dry_run(call())
    assert caught.value.effect is Effect.ABSENT


def test_a_function_that_answers_with_an_error_may_have_done_something(edge, make):
    edge.answers = [(200, {"X-Amz-Function-Error": "Unhandled"}, b'{"errorMessage": "queue is gone"}')]
    with pytest.raises(ExecutorError, match=r"answered with an error \(Unhandled\): .*queue is gone") as caught:
        make().act(call())
    assert (caught.value.effect, caught.value.retriable) == (Effect.UNKNOWN, False)


@pytest.mark.parametrize("verb", ["invoke", "publish-alias"])
@pytest.mark.parametrize(
    ("answer", "effect", "retriable"),
    [
        (failure(404, "ResourceNotFoundException"), Effect.ABSENT, False),
        (failure(403, "AccessDeniedException"), Effect.ABSENT, False),
        (failure(409, "ResourceConflictException"), Effect.ABSENT, True),
        (failure(429, "TooManyRequestsException"), Effect.ABSENT, True),
        (failure(500, "ServiceException"), Effect.UNKNOWN, True),
        (failure(502, "EC2UnexpectedException"), Effect.UNKNOWN, True),
        (None, Effect.UNKNOWN, False),
    ],
)
def test_an_error_is_sent_once_and_says_whether_anything_changed(edge, make, verb, answer, effect, retriable):
    arguments = {"alias": "live", "version": "2"} if verb == "publish-alias" else {}
    edge.answers = [answer]
    with pytest.raises(ExecutorError) as caught:
        make().act(call(verb, **arguments))
    assert (caught.value.effect, caught.value.retriable) == (effect, retriable)
    assert len(edge.requests) == 1, "botocore must not send it again by itself"


def test_an_answer_that_does_not_come_in_time_leaves_the_effect_unknown(edge, make):
    edge.answers = ["hold"]
    with pytest.raises(ExecutorError, match=r"invoking drain-queue failed: .*timeout") as caught:
        make().act(call(timeout=1))
    assert caught.value.effect is Effect.UNKNOWN
    assert len(edge.requests) == 1


def test_a_lambda_that_cannot_be_reached_was_not_touched(edge, make):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ExecutorError, match="invoking drain-queue failed: Could not connect") as caught:
            make(lambda_url=f"http://127.0.0.1:{closed.getsockname()[1]}").act(call())
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, True)


@pytest.mark.parametrize(("status", "retriable"), [(403, False), (500, True)])
def test_a_role_that_cannot_be_assumed_touches_nothing_and_tells_no_secret(edge, make, status, retriable):
    edge.sts = (status, REFUSED)
    with pytest.raises(ExecutorError, match=r"role/suture cannot be assumed: .*may not assume") as caught:
        make().act(call())
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, retriable)
    assert edge.requests == []
    assert "base-secret" not in str(caught.value)
    assert "suture-42" not in str(caught.value)


@pytest.mark.parametrize(("honours", "effect"), [(True, Effect.REPEATABLE), (False, Effect.UNKNOWN)])
def test_after_a_crash_only_a_function_that_honours_the_key_is_invoked_again(edge, make, honours, effect):
    executor = make(idempotent_by_key=honours)
    assert executor.observe(call()) is effect
    assert edge.requests == []


def test_an_alias_that_cannot_be_asked_about_is_unknown(edge, make):
    edge.answers = [failure(500, "ServiceException")]
    assert make().observe(call("publish-alias", alias="live", version="2")) is Effect.UNKNOWN


def test_several_threads_use_one_executor_each_with_credentials_of_its_own(edge, make):
    executor = make()
    results = []
    threads = [threading.Thread(target=lambda: results.append(executor.act(call())["version"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["7"] * 8
    assert len(edge.assumed) == 8
