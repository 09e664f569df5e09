"""Sends requests to configured base addresses, and nowhere else."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpcore
import httpx
from pydantic import Field

from models.domain.base import Frozen
from service.executors.arguments import read_arguments, refused
from service.executors.http_address import allowed_addresses
from service.executors.http_connection import Answer, exchange
from service.executors.http_judging import NoAnswer, response_variable, truth, values
from service.executors.http_request import (
    Asked,
    HttpBodyInputs,
    HttpCallInputs,
    HttpInputs,
    observing_request,
    operation_of,
    operation_request,
    plain_request,
)
from service.executors.http_settings import HttpConfig, Target
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config, require_secret, trust

_LAST_WORDS = 1000
"""Characters of an answer in an error's words."""
_SHOWN_BODY = 500
"""Characters of a request's body in a dry run."""


class HttpOutputs(Frozen):
    """The answer. `body` is its text, cut at the cap; `values` are the outputs that the settings name."""

    status: int
    body: str
    truncated: bool
    values: dict[str, Any] = Field(default_factory=dict)


# What is idempotent: RFC 9110 section 9.2.2.
VERBS = {
    verb.name: verb
    for verb in (
        Verb("get", "Send GET and expect a status", HttpInputs, HttpOutputs, True, False),
        Verb("put", "Send PUT with a JSON body", HttpBodyInputs, HttpOutputs, True, False),
        Verb("post", "Send POST with a JSON body", HttpBodyInputs, HttpOutputs, False, True),
        Verb("delete", "Send DELETE", HttpInputs, HttpOutputs, True, False),
        Verb("call", "Call an operation that the settings list", HttpCallInputs, HttpOutputs, False, True),
    )
}


@dataclass(frozen=True)
class _Judged:
    """An answer with its text (without secrets) and as expressions see it."""

    answer: Answer
    text: str
    response: Mapping[str, Any]


class HttpExecutor:
    """Sends one request per act; never follows a redirect, never uses a proxy of the environment.

    A name is looked up once for a request, and the connection goes to an address that was judged: never to a
    link-local one, to a metadata service, or to one that is no single machine's; to a private one where the target says
    `private: true`. No connection is kept, so that none that went stale is written to. Safe to use from several
    threads.

    Least privilege: give each target an account (token, key) that may do the listed operations and their observing
    GETs, and nothing else; list `operations`, so that no other request can be made with it. A target's secrets are
    read for each request and go to that target alone. The process itself needs no right but to reach these addresses.
    """

    name = "http"
    verbs = VERBS

    def __init__(self, config: HttpConfig, secret: Callable[[str], str]) -> None:
        self._config = config
        self._secret = secret
        self._tls: dict[str, ssl.SSLContext] = {
            name: httpx.create_ssl_context(verify=trust(target.ca), trust_env=False)
            for name, target in config.targets.items()
            if target.base_url.startswith("https:")
        }

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> HttpExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a secret cannot be resolved."""
        settings = read_config(HttpConfig, config, where="executors.http")
        for name, target in settings.targets.items():
            for key, reference in target.references.items():
                require_secret(context.secret, reference, where=f"executors.http.targets.{name}.{key}")
        return cls(settings, context.secret)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        """`http:TARGET`."""
        if verb == "call":
            return f"http:{read_arguments(HttpCallInputs, arguments).target}"
        return f"http:{read_arguments(HttpBodyInputs, arguments).target}"

    def dry_run(self, call: Call) -> str:
        """The method, the address and the body that would be sent. The name is looked up; nothing is sent."""
        asked = self._asked(call)
        self._addresses(asked, call.timeout.total_seconds())
        body = asked.request.content.decode()
        more = f" with {body[:_SHOWN_BODY]}{'…' if len(body) > _SHOWN_BODY else ''}" if body else ""
        return f"would send {asked.request.method} {asked.request.url}{more}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """What the operation's `observe` remembers, asked of the target; else nothing.

        Raises ExecutorError where it should and the target does not say.
        """
        self._asked(call)
        observing = self._observing(call)
        if observing is None or not observing.judging.outputs:
            return {}
        judged = self._send(observing, call)
        _expected(observing, judged)
        try:
            return values(observing.judging.outputs, judged.response)
        except NoAnswer as error:
            raise refused(f"{observing.name} does not say what is to be remembered: {error}") from error

    def act(self, call: Call) -> dict[str, Any]:
        """Send it with the `Idempotency-Key` header, within `call.timeout` as a whole.

        Raises ExecutorError where the status is not an expected one, and where `success` does not hold.
        """
        asked = self._asked(call)
        judged = self._send(asked, call)
        _expected(asked, judged)
        _successful(asked, judged)
        try:
            found = values(asked.judging.outputs, judged.response)
        except NoAnswer as error:
            raise ExecutorError(f"{asked.what} at {asked.name} worked, but {error}", effect=Effect.HAPPENED) from error
        return HttpOutputs(
            status=judged.answer.status, body=judged.text, truncated=judged.answer.truncated, values=found
        ).model_dump()

    def observe(self, call: Call) -> Effect:
        """What the operation's observing GET says; else REPEATABLE where sending it again is harmless, else UNKNOWN.

        Harmless is what changes nothing (GET), and what the settings say of an operation or a target.
        """
        try:
            asked = self._asked(call)
            observing = self._observing(call)
        except ExecutorError:
            return Effect.UNKNOWN
        seen = Effect.UNKNOWN if observing is None else self._seen(observing, call)
        repeatable = asked.safe or self._may_repeat(call, asked.target)
        return Effect.REPEATABLE if seen is Effect.UNKNOWN and repeatable else seen

    def _seen(self, observing: Asked, call: Call) -> Effect:
        try:
            judged = self._send(observing, call)
        except ExecutorError:
            return Effect.UNKNOWN
        if judged.answer.status not in observing.expect_status or observing.judging.success is None:
            return Effect.UNKNOWN
        try:
            happened = truth(observing.judging.success, judged.response)
        except NoAnswer:
            return Effect.UNKNOWN
        return Effect.HAPPENED if happened else Effect.ABSENT

    def _may_repeat(self, call: Call, target: Target) -> bool:
        if target.honours_idempotency_key:
            return True
        return call.verb == "call" and operation_of(read_arguments(HttpCallInputs, call.arguments), target).idempotent

    def _asked(self, call: Call) -> Asked:
        verb = VERBS.get(call.verb)
        if verb is None:
            raise refused(f"there is no http/{call.verb}")
        inputs = read_arguments(verb.inputs, call.arguments)
        if isinstance(inputs, HttpCallInputs):
            return operation_request(call, inputs, self._target(inputs.target), self._secret)
        assert isinstance(inputs, HttpInputs)  # see VERBS
        return plain_request(call, inputs, self._target(inputs.target), self._secret)

    def _observing(self, call: Call) -> Asked | None:
        if call.verb != "call":
            return None
        inputs = read_arguments(HttpCallInputs, call.arguments)
        return observing_request(call, inputs, self._target(inputs.target), self._secret)

    def _target(self, name: str) -> Target:
        target = self._config.targets.get(name)
        if target is None:
            raise refused(f"no target {name!r} is configured; add it to executors.http.targets")
        return target

    def _addresses(self, asked: Asked, seconds: float) -> list[str]:
        url = asked.request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        return allowed_addresses(url.host, port, private=asked.target.private, seconds=seconds)

    def _send(self, asked: Asked, call: Call) -> _Judged:
        seconds = call.timeout.total_seconds()
        deadline = time.monotonic() + seconds
        addresses = self._addresses(asked, seconds)
        limit, tls = self._config.response_limit, self._tls.get(asked.name)
        call.confirm()
        try:
            answer = exchange(asked.request, addresses, tls=tls, deadline=deadline, limit=limit)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            # A certificate that is not trusted stays so until a person looks at it.
            trusted = not isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError)
            words = f"{asked.name} cannot be reached: {error}"
            raise ExecutorError(words, retriable=trusted, effect=Effect.ABSENT) from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            words = f"{asked.name} broke off: {str(error) or type(error).__name__}"
            raise ExecutorError(words, retriable=asked.safe, effect=_unless_safe(asked)) from error
        text = asked.shown(answer.text, truncated=answer.truncated)
        headers = {name: asked.shown(value) for name, value in answer.headers.items()}
        answer = replace(answer, headers=headers)
        return _Judged(answer, text, response_variable(answer, text, asked.about))


def _unless_safe(asked: Asked) -> Effect:
    return Effect.ABSENT if asked.safe else Effect.UNKNOWN


def _expected(asked: Asked, judged: _Judged) -> None:
    status = judged.answer.status
    if status in asked.expect_status:
        return
    # A 4xx says that the request was not carried out (RFC 9110 section 15.5), but for those after which it may be.
    refused_by_peer = 400 <= status < 500 and status not in (408, 409, 425)
    expected = ", ".join(map(str, asked.expect_status))
    raise ExecutorError(
        f"{asked.what} at {asked.name} answered {status}, not {expected}{_last_words(judged)}",
        retriable=status in (408, 425, 429, 502, 503, 504),
        effect=Effect.ABSENT if refused_by_peer else _unless_safe(asked),
    )


def _successful(asked: Asked, judged: _Judged) -> None:
    source = asked.judging.success
    try:
        if source is None or truth(source, judged.response):
            return
        reason = f"{source} does not hold"
    except NoAnswer as error:
        reason = str(error)
    words = f"{asked.what} at {asked.name} answered {judged.answer.status}, but {reason}{_last_words(judged)}"
    raise ExecutorError(words, effect=_unless_safe(asked))


def _last_words(judged: _Judged) -> str:
    words = judged.text.strip()[:_LAST_WORDS]
    return f": {words}" if words else ""
