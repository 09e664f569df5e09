"""Sends requests to configured base addresses, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import httpx
from pydantic import Field, field_validator

from models.domain.base import Frozen, canonical_json
from models.domain.errors import BadInput
from service.executors.arguments import read_arguments, refused
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import existing_certificates, http_address, read_config, require_secret, trust

_LAST_WORDS = 1000
"""Characters of an answer in an error's words."""

TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Status = Annotated[int, Field(ge=100, le=599)]


class HttpInputs(Frozen):
    """A configured target by name, and what is asked of it. `path` is added to the target's base address."""

    target: TargetName
    path: str = Field(pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$", max_length=2048)
    query: dict[str, str | int | float | bool] = Field(default_factory=dict, max_length=50)
    expect_status: tuple[Status, ...] = Field(default=(200, 201, 202, 204), min_length=1)


class HttpBodyInputs(HttpInputs):
    """The same with a JSON body; None sends none."""

    body: Any = None


class HttpOutputs(Frozen):
    """The answer. `body` is its text, cut at the cap."""

    status: int
    body: str
    truncated: bool


# What is idempotent: RFC 9110 section 9.2.2.
VERBS = {
    verb.name: verb
    for verb in (
        Verb("get", "Send GET and expect a status", HttpInputs, HttpOutputs, True, False),
        Verb("put", "Send PUT with a JSON body", HttpBodyInputs, HttpOutputs, True, False),
        Verb("post", "Send POST with a JSON body", HttpBodyInputs, HttpOutputs, False, True),
        Verb("delete", "Send DELETE", HttpInputs, HttpOutputs, True, False),
    )
}


class Target(Frozen):
    """One system that may be called. `base_url` ends where an action's path begins.

    `headers` are secret references, each for a whole header value, resolved for every request. `ca`: a file with the
    certificates to trust, in place of the usual ones. `honours_idempotency_key`: a repeated POST with the same key
    does nothing there, so that after a crash it may be sent again.
    """

    base_url: str
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")], str] = Field(default_factory=dict)
    ca: Path | None = None
    honours_idempotency_key: bool = False

    _certificates = field_validator("ca")(existing_certificates)

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, text: str) -> str:
        if "?" in http_address(text):
            raise ValueError("must end with its path: no ?")
        return text.rstrip("/")


class HttpConfig(Frozen):
    """Settings section `executors.http`. `response_limit`: bytes that are kept of an answer."""

    targets: dict[TargetName, Target] = Field(min_length=1)
    response_limit: int = Field(default=65_536, ge=1024, le=16_777_216)


class HttpExecutor:
    """Sends one request per act; never follows a redirect, never uses a proxy of the environment.

    Safe to use from several threads.
    """

    name = "http"
    verbs = VERBS

    def __init__(
        self, config: HttpConfig, secret: Callable[[str], str], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._secret = secret
        self._monotonic = monotonic
        self._clients = {
            name: httpx.Client(
                headers={"Accept-Encoding": "identity"},  # so that the limit of an answer holds while it is read
                verify=trust(target.ca),
                follow_redirects=False,
                trust_env=False,
            )
            for name, target in config.targets.items()
        }

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> HttpExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a secret cannot be resolved."""
        settings = read_config(HttpConfig, config, where="executors.http")
        for name, target in settings.targets.items():
            for header, reference in target.headers.items():
                require_secret(context.secret, reference, where=f"executors.http.targets.{name}.headers.{header}")
        return cls(settings, context.secret)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG004  (the same for every verb)
        """`http:TARGET`."""
        return f"http:{read_arguments(HttpBodyInputs, arguments).target}"

    def dry_run(self, call: Call) -> str:
        """The method and the address that would be called. Nothing is sent."""
        _, request = self._request(call)
        return f"would send {request.method} {request.url}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """Nothing: what a request changes is not known here."""
        self._request(call)
        return {}

    def act(self, call: Call) -> dict[str, Any]:
        """Send it with the `Idempotency-Key` header. Raises ExecutorError where the status is not an expected one."""
        inputs, request = self._request(call)
        deadline = self._monotonic() + call.timeout.total_seconds()
        try:
            response = self._clients[inputs.target].send(request, stream=True)
            try:
                body, truncated = self._read(response, deadline)
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            words = f"{inputs.target} cannot be reached: {error}"
            raise ExecutorError(words, retriable=True, effect=Effect.ABSENT) from error
        except httpx.HTTPError as error:
            raise ExecutorError(f"{inputs.target} broke off: {str(error) or type(error).__name__}") from error
        text = body.decode(response.encoding or "utf-8", "replace")
        if response.status_code not in inputs.expect_status:
            raise _unexpected(inputs, request, response, text)
        return HttpOutputs(status=response.status_code, body=text, truncated=truncated).model_dump()

    def observe(self, call: Call) -> Effect:
        """ABSENT for a POST to a target that honours the key: sending it again is harmless. Else UNKNOWN."""
        try:
            inputs, _ = self._request(call)
        except ExecutorError:
            return Effect.UNKNOWN
        return Effect.ABSENT if self._config.targets[inputs.target].honours_idempotency_key else Effect.UNKNOWN

    def _request(self, call: Call) -> tuple[HttpInputs, httpx.Request]:
        verb = VERBS.get(call.verb)
        if verb is None:
            raise refused(f"there is no http/{call.verb}")
        inputs: HttpInputs = read_arguments(verb.inputs, call.arguments)  # type: ignore[assignment]  # see VERBS
        target = self._config.targets.get(inputs.target)
        if target is None:
            raise refused(f"no target {inputs.target!r} is configured; add it to executors.http.targets")
        body = inputs.body if isinstance(inputs, HttpBodyInputs) else None
        request = self._clients[inputs.target].build_request(
            call.verb.upper(),
            _joined(target.base_url, inputs.path),
            params=inputs.query or None,
            content=None if body is None else canonical_json(body).encode(),
            headers=self._headers(target, call.key, has_body=body is not None),
            timeout=call.timeout.total_seconds(),
        )
        return inputs, request

    def _headers(self, target: Target, key: str, *, has_body: bool) -> dict[str, str]:
        try:
            headers = {name: self._secret(reference) for name, reference in target.headers.items()}
        except BadInput as error:
            raise refused(str(error)) from error
        if any(not (value.isascii() and value.isprintable()) for value in headers.values()):
            raise refused("a header's secret holds a line end or another character that headers cannot carry")
        content = {"Content-Type": "application/json"} if has_body else {}
        return {**content, **headers, "Idempotency-Key": key}

    def _read(self, response: httpx.Response, deadline: float) -> tuple[bytes, bool]:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self._config.response_limit:
                return bytes(body[: self._config.response_limit]), True
            if self._monotonic() > deadline:  # httpx limits each read, not their sum
                raise httpx.ReadTimeout("the answer was not complete in time")
        return bytes(body), False


def _joined(base: str, path: str) -> httpx.URL:
    """`base` followed by `path`. Raises ExecutorError where that is not below `base` on the same host."""
    # Some servers decode twice: each layer of %-escapes is looked at.
    layer, decoded = path, unquote(path)
    while layer != decoded:
        layer, decoded = decoded, unquote(decoded)
    if any(part in (".", "..") for part in layer.replace("\\", "/").split("/")):
        raise refused("path must not climb: it holds . or .. as a part")
    root, url = httpx.URL(base), httpx.URL(base + path)
    same = (url.scheme, url.host, url.port, url.userinfo) == (root.scheme, root.host, root.port, b"")
    if not same or not url.path.startswith(root.path.rstrip("/") + "/"):
        raise refused(f"path leads away from {base}")
    return url


def _unexpected(inputs: HttpInputs, request: httpx.Request, response: httpx.Response, text: str) -> ExecutorError:
    status = response.status_code
    # A 4xx says that the request was not carried out (RFC 9110 section 15.5), but for those after which it may be.
    refused_by_peer = 400 <= status < 500 and status not in (408, 409, 425)
    words = f": {text.strip()[:_LAST_WORDS]}" if text.strip() else ""
    expected = ", ".join(map(str, inputs.expect_status))
    return ExecutorError(
        f"{request.method} {inputs.path} at {inputs.target} answered {status}, not {expected}{words}",
        retriable=status in (408, 425, 429, 502, 503, 504),
        effect=Effect.ABSENT if refused_by_peer else Effect.UNKNOWN,
    )
