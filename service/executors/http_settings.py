"""The settings of the `http` executor: which systems may be asked, for what, and how their answers are judged."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, field_validator, model_validator

from models.domain.base import Frozen
from service.executors.http_address import why_refused
from service.executors.http_judging import check_expression, check_template, rendered_path
from service.validation import existing_certificates, http_address

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Variable = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Status = Annotated[int, Field(ge=100, le=599)]
Scalar = str | int | float | bool
EXPECTED: tuple[int, ...] = (200, 201, 202, 204)

KEY = "key"
"""The name by which the templates of an operation read the idempotency key."""


class BearerAuth(Frozen):
    """`Authorization: Bearer …` (RFC 6750). `token` is a secret reference."""

    kind: Literal["bearer"]
    token: str


class BasicAuth(Frozen):
    """`Authorization: Basic …` (RFC 7617). Both are secret references."""

    kind: Literal["basic"]
    username: str
    password: str


class HeaderAuth(Frozen):
    """A header of another name, for example `X-Api-Key`. `value` is a secret reference for the whole value."""

    kind: Literal["header"]
    name: HeaderName
    value: str


Auth = Annotated[BearerAuth | BasicAuth | HeaderAuth, Field(discriminator="kind")]


class OperationParameter(Frozen):
    """One value that a runbook gives to an operation. It is checked as a runbook's own parameters are.

    `multiline`: a text may have several lines; type, pattern and length then hold for each of them.
    """

    type: Literal["string", "integer", "number", "boolean"] = "string"
    pattern: str | None = None
    enum: tuple[str | int | float, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    default: Scalar | None = None
    multiline: bool = False


class Judging(Frozen):
    """How an answer is judged: CEL over `response`, which has `status`, `headers`, `body` and `request`.

    `success` must hold, beside an expected status. `outputs`: further outputs of the act, by name.
    """

    success: str | None = None
    outputs: dict[Variable, str] = Field(default_factory=dict, max_length=50)

    @field_validator("success")
    @classmethod
    def _success(cls, source: str | None) -> str | None:
        return None if source is None else check_expression(source)

    @field_validator("outputs")
    @classmethod
    def _outputs(cls, sources: dict[str, str]) -> dict[str, str]:
        return {name: check_expression(source) for name, source in sources.items()}


class Observing(Frozen):
    """A GET that tells whether an operation happened: `happened` is CEL, true for yes and false for no.

    `remember`: values that the same GET gives before the act, for `happened` to compare with as
    `response.request.before`. A status that is not expected, and an expression without a value, mean "not known".
    """

    path: str
    query: dict[str, Scalar] = Field(default_factory=dict, max_length=50)
    expect_status: tuple[Status, ...] = Field(default=(200,), min_length=1)
    happened: str
    remember: dict[Variable, str] = Field(default_factory=dict, max_length=50)

    @field_validator("happened")
    @classmethod
    def _happened(cls, source: str) -> str:
        return check_expression(source)

    @field_validator("remember")
    @classmethod
    def _remember(cls, sources: dict[str, str]) -> dict[str, str]:
        return {name: check_expression(source) for name, source in sources.items()}


class Operation(Judging):
    """One request that a runbook may ask for by name.

    `path`, `query` and `body` are templates over `parameters` and `key`: a value stays within its segment of the path,
    its value of the query and its place in the body. `idempotent`: doing it twice is the same as doing it once.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: dict[str, Scalar] = Field(default_factory=dict, max_length=50)
    body: Any = None
    parameters: dict[Variable, OperationParameter] = Field(default_factory=dict, max_length=50)
    expect_status: tuple[Status, ...] = Field(default=EXPECTED, min_length=1)
    idempotent: bool = False
    observe: Observing | None = None

    @model_validator(mode="after")
    def _templates(self) -> Self:
        if KEY in self.parameters:
            raise ValueError(f"parameters: {KEY} is the idempotency key; use another name")
        known = frozenset({*self.parameters, KEY})
        check_template([self.path, self.query, self.body], known)
        if self.observe is not None:
            check_template([self.observe.path, self.observe.query], known)
        for path in (self.path, self.observe.path if self.observe else "/"):
            rendered_path(path, dict.fromkeys(known, "x"))
        return self


class Target(Judging):
    """One system that may be called. `base_url` ends where a path begins.

    `headers` are secret references, each for a whole header value, resolved for every request; so is what `auth`
    names. `ca`: a file with the certificates to trust, in place of the usual ones. `private`: its address may be a
    private one, or this machine's. `honours_idempotency_key`: a repeated POST with the same key does nothing there, so
    that after a crash it may be sent again. A target with `operations` takes these and no other request.
    """

    base_url: str
    headers: dict[HeaderName, str] = Field(default_factory=dict)
    auth: Auth | None = None
    ca: Path | None = None
    private: bool = False
    honours_idempotency_key: bool = False
    operations: dict[Name, Operation] = Field(default_factory=dict)

    _certificates = field_validator("ca")(existing_certificates)

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, text: str) -> str:
        if "?" in http_address(text):
            raise ValueError("must end with its path: no ?")
        try:
            httpx.URL(text)
        except httpx.InvalidURL as error:
            raise ValueError(f"is no address: {error}") from error
        return text.rstrip("/")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        host = urlsplit(self.base_url).hostname or ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:  # a name: looked up when it is used
            address = None
        if address is not None and (reason := why_refused(address, private=self.private)):
            raise ValueError(f"base_url: {reason}")
        return self

    @model_validator(mode="after")
    def _one_authorization(self) -> Self:
        if self.auth is not None:
            name = self.auth.name if isinstance(self.auth, HeaderAuth) else "Authorization"
            if name.lower() in {header.lower() for header in self.headers}:
                raise ValueError(f"headers and auth both set {name}")
        return self

    @property
    def references(self) -> Mapping[str, str]:
        """Every secret reference, by its key below the target."""
        found = {f"headers.{name}": reference for name, reference in self.headers.items()}
        if self.auth is not None:
            found |= {f"auth.{key}": str(value) for key, value in self.auth if key not in ("kind", "name")}
        return found


class HttpConfig(Frozen):
    """Settings section `executors.http`. `response_limit`: bytes that are kept of an answer."""

    targets: dict[Name, Target] = Field(min_length=1)
    response_limit: int = Field(default=65_536, ge=1024, le=16_777_216)
