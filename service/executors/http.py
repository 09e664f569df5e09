"""Sends requests to configured base addresses, and nowhere else."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from models.domain.base import Frozen
from service.ports import Verb

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
