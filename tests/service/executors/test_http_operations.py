"""`http/call`: what the settings list, and nothing else."""

import json
from datetime import timedelta

import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.http import HttpExecutor
from service.ports import Call, Context, Effect, ExecutorError
from service.security.secrets import resolve_secret

SECRETS = {"TOKEN": "8c1f-secret", "USER": "suture", "PASSWORD": "pa:ss word"}
CONTEXT = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, SECRETS))

SCALE = {
    "method": "PUT",
    "path": "/services/{{ service }}/replicas",
    "query": {"reason": "{{ reason }}"},
    "body": {"count": "{{ count }}", "note": "by {{ key }}", "tags": ["{{ service }}"]},
    "parameters": {
        "service": {"pattern": "[a-z][a-z0-9./-]*"},
        "count": {"type": "integer", "minimum": 1, "maximum": 10},
        "reason": {"default": "incident", "multiline": True},
    },
}


def make(url: str, operations: dict, **target) -> HttpExecutor:
    settings = {"base_url": f"{url}/api", "private": True, "operations": operations, **target}
    return HttpExecutor.build({"targets": {"control": settings}}, CONTEXT)


def call(operation: str = "scale", before: dict | None = None, **parameters) -> Call:
    arguments = {"target": "control", "operation": operation, "parameters": parameters}
    return Call("exec-1:act", "call", arguments, timedelta(seconds=5), before or {})


def test_each_value_stays_in_its_place_of_path_query_and_body(loopback):
    service, reason = "a/b.c", 'x&admin=1 "}\n# y'
    make(loopback.url, {"scale": SCALE}).act(call(service=service, count=3, reason=reason))
    (got,) = loopback.received
    assert (got.method, got.path) == ("PUT", "/api/services/a%2Fb.c/replicas?reason=x%26admin%3D1+%22%7D%0A%23+y")
    assert json.loads(got.body) == {"count": 3, "note": "by exec-1:act", "tags": [service]}
    assert got.headers["idempotency-key"] == "exec-1:act"


def test_a_dry_run_shows_the_request_and_sends_nothing(loopback):
    words = make(loopback.url, {"scale": SCALE}).dry_run(call(service="shop", count=2))
    assert words == (
        f"would send PUT {loopback.url}/api/services/shop/replicas?reason=incident"
        ' with {"count":2,"note":"by exec-1:act","tags":["shop"]}'
    )
    assert loopback.received == []


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"service": "shop", "count": 11}, "count: 11 is above 10"),
        ({"service": "shop", "count": "many"}, "count: 'many' is not an integer"),
        ({"service": "shop"}, "parameters.count is missing"),
        ({"service": "shop", "count": 1, "force": True}, "there is no force; there is count, reason, service"),
        ({"service": "Shop", "count": 1}, "service: 'Shop' does not match"),
        ({"service": "shop\n", "count": 1}, "service: .* does not match"),
        ({"service": "ѕhop", "count": 1}, "service: .* does not match"),  # noqa: RUF001  (a look-alike: the point)
        ({"service": "a/../../admin", "count": 1}, "must not climb"),
        ({"service": "shop", "count": 1, "reason": "a\x00b"}, "control character"),
    ],
)
def test_values_that_the_operation_does_not_take_are_refused_before_anything_is_sent(loopback, parameters, words):
    executor = make(loopback.url, {"scale": SCALE})
    for method in (executor.act, executor.dry_run, executor.snapshot):
        with pytest.raises(ExecutorError, match=words) as caught:
            method(call(**parameters))
        assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)
    assert loopback.received == []


@pytest.mark.parametrize("service", ["..", ".", ""])
def test_a_value_cannot_move_within_the_path_even_where_its_pattern_forgets_to_say_so(loopback, service):
    loose = {"method": "POST", "path": "/s/{{ service }}/x", "parameters": {"service": {}}}
    with pytest.raises(ExecutorError, match=r"leave its place|is empty") as caught:
        make(loopback.url, {"scale": loose}).act(call(service=service))
    assert caught.value.effect is Effect.ABSENT
    assert loopback.received == []


def test_a_target_with_operations_takes_no_other_request(loopback):
    executor = make(loopback.url, {"scale": SCALE})
    with pytest.raises(ExecutorError, match="takes http/call alone, for one of its operations: scale"):
        executor.act(Call("k", "post", {"target": "control", "path": "/admin"}, timedelta(seconds=5)))
    with pytest.raises(ExecutorError, match=r"no operation 'drop'; add it to executors\.http\.targets\.control"):
        executor.act(call("drop"))
    assert loopback.received == []
    assert executor.target("call", call().arguments) == "http:control"


MESSAGE = {
    "method": "POST",
    "path": "/messages",
    "body": {"channel": "#incidents", "text": "{{ text }}"},
    "parameters": {"text": {"multiline": True}},
    "success": "response.body.ok",
    "outputs": {"reference": "response.body.ts", "size": "size(response.body.lines)"},
}


def test_success_and_outputs_are_read_off_the_answer(loopback):
    loopback.answer = lambda _: loopback.Answer(200, b'{"ok": true, "ts": "17.4", "lines": [1, 2]}')
    outputs = make(loopback.url, {"say": MESSAGE}).act(call("say", text="first\nsecond"))
    assert outputs["values"] == {"reference": "17.4", "size": 2}
    assert json.loads(loopback.received[0].body) == {"channel": "#incidents", "text": "first\nsecond"}


@pytest.mark.parametrize(
    ("body", "words", "effect"),
    [
        (b'{"ok": false, "error": "no channel"}', "200, but response.body.ok does not hold: .*no channel", "unknown"),
        (b'{"error": "x"}', "response.body.ok has no value", "unknown"),
        (b"<html>", "response.body.ok has no value", "unknown"),
        (b'{"ok": "yes"}', "is str, not true or false", "unknown"),
        (b'{"ok": true}', "worked, but response.body.ts has no value", "happened"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_say_success_is_none_whatever_its_status(loopback, body, words, effect):
    loopback.answer = lambda _: loopback.Answer(200, body)
    with pytest.raises(ExecutorError, match=words) as caught:
        make(loopback.url, {"say": MESSAGE}).act(call("say", text="hello"))
    assert caught.value.effect is Effect(effect)
    assert not caught.value.retriable


def test_a_target_may_judge_its_plain_requests_too(loopback):
    loopback.answer = lambda _: loopback.Answer(200, b'{"state": "queued"}', {"X-Request-Id": "r7"})
    judging = {"success": 'response.body.state != "failed"', "outputs": {"id": 'response.headers["x-request-id"]'}}
    settings = {"base_url": loopback.url, "private": True, **judging}
    executor = HttpExecutor.build({"targets": {"control": settings}}, CONTEXT)
    got = executor.act(Call("k", "get", {"target": "control", "path": "/x"}, timedelta(seconds=5)))
    assert got["values"] == {"id": "r7"}


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"kind": "bearer", "token": "env:TOKEN"}, "authorization", "Bearer 8c1f-secret"),
        ({"kind": "header", "name": "X-Api-Key", "value": "env:TOKEN"}, "x-api-key", "8c1f-secret"),
        (
            {"kind": "basic", "username": "env:USER", "password": "env:PASSWORD"},
            "authorization",
            "Basic c3V0dXJlOnBhOnNzIHdvcmQ=",
        ),
    ],
)
def test_credentials_are_sent_and_shown_nowhere(loopback, auth, header, value):
    loopback.answer = lambda got: loopback.Answer(200 if got.path == "/api/a" else 500, got.headers[header].encode())
    both = {"a": {"method": "POST", "path": "/a"}, "b": {"method": "POST", "path": "/b"}}
    executor = make(loopback.url, both, auth=auth)
    outputs = executor.act(call("a"))
    with pytest.raises(ExecutorError, match=r"answered 500.*\*\*\*") as caught:
        executor.act(call("b"))
    assert [got.headers[header] for got in loopback.received] == [value, value]
    said = f"{outputs} {caught.value} {executor.dry_run(call('a'))}"
    assert not any(word in said for word in ("8c1f", "pa:ss", "c3V0"))


class TestObserve:
    ROLLBACK = {  # noqa: RUF012
        "method": "POST",
        "path": "/rollbacks",
        "body": {"service": "{{ service }}"},
        "parameters": {"service": {"pattern": "[a-z]+"}},
        "observe": {
            "path": "/rollbacks",
            "query": {"service": "{{ service }}"},
            "remember": {"count": "response.body.count"},
            "happened": "response.body.count > response.request.before.count"
            " && response.body.service == response.request.parameters.service",
        },
    }

    @pytest.fixture
    def counting(self, loopback):
        """A system that counts what it did, and loses its answer where `lost` is set."""
        state = {"count": 4, "lost": False, "status": 200}

        def answer(got):
            if got.method == "POST":
                state["count"] += 1
                return None if state["lost"] else loopback.Answer(201)
            return loopback.Answer(state["status"], json.dumps({"count": state["count"], "service": "shop"}).encode())

        loopback.answer = answer
        return state

    def test_the_target_itself_says_whether_an_act_whose_answer_was_lost_happened(self, loopback, counting):
        executor = make(loopback.url, {"rollback": self.ROLLBACK})
        before = executor.snapshot(call("rollback", service="shop"))
        assert before == {"count": 4}
        cut_off = call("rollback", before, service="shop")
        assert executor.observe(cut_off) is Effect.ABSENT
        counting["lost"] = True
        with pytest.raises(ExecutorError, match="broke off") as caught:
            executor.act(cut_off)
        assert caught.value.effect is Effect.UNKNOWN
        assert executor.observe(cut_off) is Effect.HAPPENED
        assert loopback.received[0].path == "/api/rollbacks?service=shop"

    def test_what_does_not_answer_as_expected_is_not_known(self, loopback, counting):
        executor = make(loopback.url, {"rollback": self.ROLLBACK})
        assert executor.observe(call("rollback", service="shop")) is Effect.UNKNOWN, "nothing was remembered"
        counting["status"] = 404
        assert executor.observe(call("rollback", {"count": 1}, service="shop")) is Effect.UNKNOWN
        with pytest.raises(ExecutorError, match="GET of rollback at control answered 404") as caught:
            executor.snapshot(call("rollback", service="shop"))
        assert caught.value.effect is Effect.ABSENT

    def test_without_an_observing_request_the_declaration_counts(self, loopback):
        plain = {"method": "POST", "path": "/x"}
        assert make(loopback.url, {"x": plain}).observe(call("x")) is Effect.UNKNOWN
        assert make(loopback.url, {"x": {"method": "GET", "path": "/x"}}).observe(call("x")) is Effect.REPEATABLE
        assert make(loopback.url, {"x": {**plain, "idempotent": True}}).observe(call("x")) is Effect.REPEATABLE
        assert make(loopback.url, {"x": plain}, honours_idempotency_key=True).observe(call("x")) is Effect.REPEATABLE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "/x/{{ other }}"}, "reads other, which is not among its parameters"),
        ({"body": [{"a": "{{ other }}"}]}, "reads other"),
        ({"body": "{{ service.__class__ }}"}, "operations.scale"),
        ({"path": "x"}, "path: must begin with /"),
        ({"path": "/x?y=1"}, "path: must begin with /"),
        ({"path": "/a/../b"}, "must not climb"),
        ({"path": "//evil.example/{{ service }}"}, "is empty"),
        ({"method": "TRACE"}, "method"),
        ({"success": "status == 200"}, "there is no 'status'"),
        ({"success": "response.state == 200"}, "`response` has no field 'state'"),
        ({"outputs": {"a": "response.body ="}}, "not a CEL expression"),
        ({"observe": {"path": "/x"}}, "observe.happened: is missing"),
        ({"parameters": {"key": {}}}, "key is the idempotency key"),
    ],
)
def test_operations_that_cannot_be_used_are_found_at_the_start(change, words):
    with pytest.raises(BadInput, match=words):
        make("http://127.0.0.1:1", {"scale": {**SCALE, **change}})
