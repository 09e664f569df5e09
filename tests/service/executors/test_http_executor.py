import json
import socket
import time
from datetime import timedelta

import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.http import HttpExecutor
from service.ports import Call, Context, Effect, ExecutorError
from service.security.secrets import resolve_secret

build = HttpExecutor.build

SECRETS = {"TOKEN": "Bearer 8c1f"}
CONTEXT = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, SECRETS))


def make(url: str, **target) -> HttpExecutor:
    config = {"base_url": f"{url}/api/v1/", "headers": {"Authorization": "env:TOKEN"}, "private": True, **target}
    return build({"targets": {"deploys": config}, "response_limit": 1024}, CONTEXT)


def call(verb: str, path: str = "/rollbacks", *, timeout: float = 5, **more) -> Call:
    return Call("exec-1:act", verb, {"target": "deploys", "path": path, **more}, timedelta(seconds=timeout))


def test_post_carries_key_credentials_query_and_body(loopback):
    loopback.answer = lambda _: loopback.Answer(201, b'{"id": 7}')
    outputs = make(loopback.url).act(call("post", body={"to": "v41", "n": 2}, query={"dry": False}))
    assert outputs == {"status": 201, "body": '{"id": 7}', "truncated": False, "values": {}}
    (got,) = loopback.received
    assert (got.method, got.path) == ("POST", "/api/v1/rollbacks?dry=false")
    assert json.loads(got.body) == {"to": "v41", "n": 2}
    assert got.headers["idempotency-key"] == "exec-1:act"
    assert got.headers["authorization"] == "Bearer 8c1f"
    assert got.headers["content-type"] == "application/json"


@pytest.mark.parametrize("verb", ["get", "put", "post", "delete"])
def test_each_verb_sends_its_method(loopback, verb):
    executor = make(loopback.url)
    assert executor.dry_run(call(verb)) == f"would send {verb.upper()} {loopback.url}/api/v1/rollbacks"
    assert loopback.received == []
    executor.act(call(verb))
    assert loopback.received[0].method == verb.upper()
    assert executor.target(verb, call(verb).arguments) == "http:deploys"


@pytest.mark.parametrize(
    "path",
    [
        "/../admin", "/x/../../y", "/%2e%2e/admin", "/%252e%252e/admin", "/..%2fadmin", "/..%5cadmin", "/.",
        "@evil.example/x", "//evil.example/../x", "http://evil.example/", "/x?y=1", "/x#y", "/x y", "/x\r\nHost: evil",
        "", "\\\\evil.example", "/" + "x" * 2048,
    ],
)  # fmt: skip
def test_a_path_cannot_leave_the_base_address(loopback, path):
    with pytest.raises(ExecutorError) as caught:
        make(loopback.url).act(call("post", path))
    assert caught.value.effect is Effect.ABSENT
    assert loopback.received == []


@pytest.mark.parametrize("path", ["//evil.example/x", "/@evil.example", "/:80/x", "/a/b%20c"])
def test_odd_paths_stay_on_the_host_and_below_the_base(loopback, path):
    make(loopback.url).act(call("get", path))
    assert loopback.received[0].path.startswith("/api/v1/")


def test_a_redirect_is_not_followed(loopback):
    loopback.answer = lambda _: loopback.Answer(302, headers={"Location": "http://127.0.0.1:1/elsewhere"})
    with pytest.raises(ExecutorError, match="answered 302, not 200, 201, 202, 204"):
        make(loopback.url).act(call("get"))
    assert len(loopback.received) == 1


@pytest.mark.parametrize(
    ("status", "effect", "retriable"),
    [
        (400, Effect.ABSENT, False),
        (404, Effect.ABSENT, False),
        (409, Effect.UNKNOWN, False),
        (429, Effect.ABSENT, True),
        (500, Effect.UNKNOWN, False),
        (503, Effect.UNKNOWN, True),
    ],
)
def test_an_unexpected_status_fails_with_the_words_of_the_answer(loopback, status, effect, retriable):
    loopback.answer = lambda _: loopback.Answer(status, b"no such release")
    with pytest.raises(ExecutorError, match=f"at deploys answered {status}, .*: no such release") as caught:
        make(loopback.url).act(call("post"))
    assert (caught.value.effect, caught.value.retriable) == (effect, retriable)


def test_an_expected_status_is_success_whatever_it_is(loopback):
    loopback.answer = lambda _: loopback.Answer(404)
    assert make(loopback.url).act(call("delete", expect_status=[204, 404]))["status"] == 404


def test_a_large_answer_is_cut(loopback):
    loopback.answer = lambda _: loopback.Answer(200, b"z" * 500_000)
    outputs = make(loopback.url).act(call("get"))
    assert (len(outputs["body"]), outputs["truncated"]) == (1024, True)


def test_an_answer_that_drips_ends_at_the_timeout(loopback):
    loopback.answer = lambda _: loopback.Answer(200, b"x" * 1000, pause=0.05)
    started = time.monotonic()
    with pytest.raises(ExecutorError, match="not complete in time") as caught:
        make(loopback.url).act(call("post", timeout=0.4))
    assert time.monotonic() - started < 15, "it waited for the whole answer, which takes 50 s"
    assert caught.value.effect is Effect.UNKNOWN


def test_nobody_there_means_that_nothing_was_sent(loopback):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        executor = make(f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(ExecutorError, match="deploys cannot be reached") as caught:
            executor.act(call("post"))
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, True)


def test_a_connection_that_breaks_after_the_request_leaves_it_open(loopback):
    loopback.answer = lambda _: None
    with pytest.raises(ExecutorError, match="deploys broke off") as caught:
        make(loopback.url).act(call("post"))
    assert caught.value.effect is Effect.UNKNOWN
    assert not caught.value.retriable


def test_after_a_crash_a_post_may_be_sent_again_only_where_the_target_honours_the_key(loopback):
    assert make(loopback.url).observe(call("post")) is Effect.UNKNOWN
    assert make(loopback.url, honours_idempotency_key=True).observe(call("post")) is Effect.REPEATABLE
    declared = {name: (verb.idempotent, verb.observable) for name, verb in make(loopback.url).verbs.items()}
    again, asked = (True, False), (False, True)
    assert declared == {"get": again, "put": again, "post": asked, "delete": again, "call": asked}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"base_url": "file:///etc"}, "base_url: must begin with http"),
        ({"base_url": "http://u:p4ss@host"}, "base_url: must hold no credentials"),
        ({"base_url": "http://host/?a=b"}, "base_url: must end with its path"),
        ({"base_url": "http://h", "headers": {"A": "Bearer p4ss"}}, "given by reference"),
        ({"base_url": "http://h", "headers": {"A b": "env:TOKEN"}}, "headers.A b"),
        ({"base_url": "http://h", "ca": "/nonexistent"}, "ca: holds no certificates"),
        ({"base_url": "http://h", "verify": False}, "verify: there is no such key"),
        ({"base_url": "http://h", "auth": {"kind": "bearer", "token": "p4ss"}}, r"auth\.token: .*given by reference"),
        (
            {"base_url": "http://h", "auth": {"kind": "basic", "username": "env:TOKEN"}},
            r"deploys\.auth\.password: is missing",
        ),
        ({"base_url": "http://h", "auth": {"kind": "digest"}}, r"deploys\.auth: "),
        (
            {
                "base_url": "http://h",
                "auth": {"kind": "bearer", "token": "env:TOKEN"},
                "headers": {"authorization": "env:TOKEN"},
            },
            "headers and auth both set Authorization",
        ),
    ],
)
def test_wrong_settings_name_their_key_and_show_no_secret(target, words):
    with pytest.raises(BadInput, match=words) as caught:
        build({"targets": {"deploys": target}}, CONTEXT)
    assert "p4ss" not in str(caught.value)
