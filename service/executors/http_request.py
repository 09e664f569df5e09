"""From a call to the request that it means: what may be asked of which target, with its credentials."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import Field

from models.domain.base import Frozen, canonical_json
from models.domain.errors import BadInput
from service.executors.arguments import refused
from service.executors.hiding import SHORTEST, hidden
from service.executors.http_judging import climbs, rendered, rendered_path
from service.executors.http_settings import (
    EXPECTED,
    KEY,
    BasicAuth,
    BearerAuth,
    Judging,
    Name,
    Observing,
    Operation,
    OperationParameter,
    Scalar,
    Status,
    Target,
    Variable,
)
from service.ports import Call

_SAFE = frozenset({"GET", "HEAD"})
"""Methods that change nothing: RFC 9110 section 9.2.1."""


class HttpInputs(Frozen):
    """A configured target by name, and what is asked of it. `path` is added to the target's base address."""

    target: Name
    path: str = Field(pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$", max_length=2048)
    query: dict[str, Scalar] = Field(default_factory=dict, max_length=50)
    expect_status: tuple[Status, ...] = Field(default=EXPECTED, min_length=1)


class HttpBodyInputs(HttpInputs):
    """The same with a JSON body; None sends none."""

    body: Any = None


class HttpCallInputs(Frozen):
    """An operation that the settings list for the target, and the values of its parameters."""

    target: Name
    operation: Name
    parameters: dict[Variable, Scalar] = Field(default_factory=dict, max_length=50)


@dataclass(frozen=True)
class Asked:
    """A request, and how its answer is judged. `about` is what expressions read as `response.request`."""

    name: str
    """Of the target."""
    target: Target
    request: httpx.Request
    what: str
    """The request in a few words, for people."""
    expect_status: tuple[int, ...]
    judging: Judging
    about: Mapping[str, Any]
    secrets: tuple[str, ...]

    @property
    def safe(self) -> bool:
        """Whether it changes nothing by its method."""
        return self.request.method in _SAFE

    def shown(self, text: str, *, truncated: bool = False) -> str:
        """`text` of the target without the secrets that were sent to it: some systems send back what they get."""
        return hidden(text, self.secrets, cut_at_end=truncated)


def plain_request(call: Call, inputs: HttpInputs, target: Target, secret: Callable[[str], str]) -> Asked:
    """What `get`, `put`, `post` and `delete` ask. Raises ExecutorError."""
    if target.operations:
        offered = ", ".join(sorted(target.operations))
        raise refused(f"{inputs.target} takes http/call alone, for one of its operations: {offered}")
    method = call.verb.upper()
    body = inputs.body if isinstance(inputs, HttpBodyInputs) else None
    request, secrets = _request(method, target, call.key, inputs.path, inputs.query, body, secret)
    what = f"{method} {inputs.path}"
    about = {"parameters": {}, "key": call.key, "before": dict(call.before)}
    return Asked(inputs.target, target, request, what, inputs.expect_status, target, about, secrets)


def operation_of(inputs: HttpCallInputs, target: Target) -> Operation:
    """The operation of the inputs. Raises ExecutorError where the settings do not list it."""
    operation = target.operations.get(inputs.operation)
    if operation is None:
        words = f"{inputs.target} has no operation {inputs.operation!r}"
        raise refused(f"{words}; add it to executors.http.targets.{inputs.target}.operations")
    return operation


def operation_request(call: Call, inputs: HttpCallInputs, target: Target, secret: Callable[[str], str]) -> Asked:
    """What `call` asks: the operation's templates with the parameters in them. Raises ExecutorError."""
    operation = operation_of(inputs, target)
    judging = Judging(
        success=operation.success if operation.success is not None else target.success,
        outputs={**target.outputs, **operation.outputs},
    )
    what = f"{operation.method} {inputs.operation}"
    return _templated(call, inputs, target, operation, what, judging, secret)


def observing_request(call: Call, inputs: HttpCallInputs, target: Target, secret: Callable[[str], str]) -> Asked | None:
    """The GET that tells whether the operation happened; None where the settings have none. Raises ExecutorError."""
    observing = operation_of(inputs, target).observe
    if observing is None:
        return None
    judging = Judging(success=observing.happened, outputs=observing.remember)
    return _templated(call, inputs, target, observing, f"GET of {inputs.operation}", judging, secret)


def _templated(
    call: Call,
    inputs: HttpCallInputs,
    target: Target,
    asked: Operation | Observing,
    what: str,
    judging: Judging,
    secret: Callable[[str], str],
) -> Asked:
    parameters = _accepted(operation_of(inputs, target).parameters, inputs.parameters)
    known = {**parameters, KEY: call.key}
    method, body = (asked.method, asked.body) if isinstance(asked, Operation) else ("GET", None)
    try:
        path = rendered_path(asked.path, known)
    except ValueError as error:
        raise refused(str(error)) from error
    query, body = rendered(asked.query, known), rendered(body, known)
    request, secrets = _request(method, target, call.key, path, query, body, secret)
    about = {"parameters": parameters, "key": call.key, "before": dict(call.before)}
    return Asked(inputs.target, target, request, what, asked.expect_status, judging, about, secrets)


def _accepted(declared: Mapping[str, OperationParameter], given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    if unknown := set(given) - set(declared):
        raise refused(f"parameters: there is no {', '.join(sorted(unknown))}; there is {', '.join(sorted(declared))}")
    accepted: dict[str, Scalar] = {}
    for name, parameter in declared.items():
        value = given.get(name, parameter.default)
        if value is None:
            raise refused(f"parameters.{name} is missing")
        accepted[name] = _accept(name, parameter, value)
    return accepted


def _accept(name: str, parameter: OperationParameter, value: Scalar) -> Scalar:
    from models.domain.runbook import Parameter
    from runbooks.parameters import Unresolved, accept

    rules = Parameter.model_validate(parameter.model_dump(exclude={"multiline", "default"}))
    try:
        if parameter.multiline and isinstance(value, str):
            return "\n".join(str(accept(rules, line)) for line in value.split("\n"))
        return accept(rules, value)
    except Unresolved as error:
        raise refused(f"parameters.{name}: {error}") from error


def _request(
    method: str,
    target: Target,
    key: str,
    path: str,
    query: Mapping[str, Scalar],
    body: Any,
    secret: Callable[[str], str],
) -> tuple[httpx.Request, tuple[str, ...]]:
    headers, secrets = _credentials(target, secret)
    if any(not (value.isascii() and value.isprintable()) for value in headers.values()):
        raise refused("a header's secret holds a line end or another character that headers cannot carry")
    request = httpx.Request(
        method,
        _joined(target.base_url, path),
        params=dict(query) or None,
        content=None if body is None else canonical_json(body).encode(),
        headers={
            "Accept": "*/*",
            "Accept-Encoding": "identity",  # so that the limit of an answer holds while it is read
            "User-Agent": "suture",
            **({} if body is None else {"Content-Type": "application/json"}),
            **headers,
            "Idempotency-Key": key,
        },
    )
    return request, secrets


def _credentials(target: Target, secret: Callable[[str], str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The headers that carry secrets, and every text that must not be shown because of them."""
    try:
        found = {key: secret(reference) for key, reference in target.references.items()}
    except BadInput as error:
        raise refused(str(error)) from error
    headers = {name: found[f"headers.{name}"] for name in target.headers}
    hidden = list(found.values())
    if isinstance(target.auth, BearerAuth):
        headers["Authorization"] = f"Bearer {found['auth.token']}"
    elif isinstance(target.auth, BasicAuth):
        pair = b64encode(f"{found['auth.username']}:{found['auth.password']}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
        hidden += [pair]
        hidden.remove(found["auth.username"])  # a name is no secret, and a common word would be masked everywhere
    elif target.auth is not None:
        headers[target.auth.name] = found["auth.value"]
    hidden += [value.partition(" ")[2] for value in found.values()]  # `Bearer abc`: abc alone, too
    return headers, tuple(sorted((text for text in hidden if len(text) >= SHORTEST), key=len, reverse=True))


def _joined(base: str, path: str) -> httpx.URL:
    """`base` followed by `path`. Raises ExecutorError where that is not below `base` on the same host."""
    if climbs(path):
        raise refused("path must not climb: it holds . or .. as a part")
    root, url = httpx.URL(base), httpx.URL(base + path)
    same = (url.scheme, url.host, url.port, url.userinfo) == (root.scheme, root.host, root.port, b"")
    if not same or not url.path.startswith(root.path.rstrip("/") + "/"):
        raise refused(f"path leads away from {base}")
    return url
