"""What the settings allow with AWS Lambda functions."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from models.domain.base import Frozen
from service.validation import http_address

FUNCTION = r"[A-Za-z0-9_-]{1,64}"
ARN = rf"arn:aws[a-z-]*:lambda:[a-z0-9-]{{1,32}}:[0-9]{{12}}:function:{FUNCTION}"
"""A function's ARN without a qualifier (Lambda API reference, CreateFunction)."""

FunctionName = Annotated[str, Field(pattern=rf"^{FUNCTION}$")]
FunctionArn = Annotated[str, Field(pattern=rf"^{ARN}$")]
Alias = Annotated[str, Field(pattern=r"^[0-9]*[A-Za-z_-][A-Za-z0-9_-]*$", max_length=128)]
"""An alias is never a bare number, which would be a version."""
Version = Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
Qualifier = Annotated[str, Field(pattern=r"^(\$LATEST|[A-Za-z0-9_-]{1,128})$")]


class Concurrency(Frozen):
    """Between which numbers reserved concurrency may be set. `unreserved`: it may also be taken away altogether."""

    minimum: int = Field(ge=0)
    maximum: int = Field(ge=0)
    unreserved: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        return self


class Function(Frozen):
    """One function that may be touched, and how. What is left empty is not allowed.

    `invoke`: qualifiers that may be invoked. `aliases`: aliases that may be pointed at another version.
    `idempotent_by_key`: the function does nothing when it sees a key for the second time; after a crash it may then be
    invoked again. `key_field`: the field of the payload that carries the key; it is in the client context in any case.
    """

    arn: FunctionArn
    invoke: tuple[Qualifier, ...] = ()
    aliases: tuple[Alias, ...] = ()
    concurrency: Concurrency | None = None
    idempotent_by_key: bool = False
    key_field: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")] | None = None

    @property
    def name(self) -> str:
        """The function's name, the last part of its ARN."""
        return self.arn.rsplit(":", 1)[1]

    @property
    def region(self) -> str:
        """The region, the fourth part of the ARN."""
        return self.arn.split(":")[3]


class LambdaConfig(Frozen):
    """Settings section `executors.lambda`.

    `role_arn`: the role that is assumed for each act. `external_id`, `access_key_id` and `secret_access_key` are secret
    references; without keys AWS's own chain finds them (environment, instance, pod). `functions` by their names.
    `endpoint_url` and `sts_endpoint_url`: where AWS is reached by another address than the usual one. `response_limit`:
    bytes that are kept of a function's answer.
    """

    role_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$")]
    external_id: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    functions: dict[FunctionName, Function] = Field(min_length=1)
    endpoint_url: str | None = None
    sts_endpoint_url: str | None = None
    response_limit: int = Field(default=65_536, ge=1024, le=6_291_456)

    @field_validator("endpoint_url", "sts_endpoint_url")
    @classmethod
    def _address(cls, text: str | None) -> str | None:
        return None if text is None else http_address(text)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together")
        for name, function in self.functions.items():
            if function.name != name:  # else two names could stand for one target
                raise ValueError(f"functions.{name} must have the name at the end of its arn, {function.name}")
        return self
