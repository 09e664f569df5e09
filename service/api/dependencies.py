"""What routes share: the parts, identifiers in paths, and how answers are described."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from service.api.problems import MEDIA_TYPE, ProblemDetails
from service.parts import Parts
from service.security.auth import AuthenticatedRoute


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]

# Control characters name nothing, and PostgreSQL refuses some of them.
PLAIN = r"^[^\x00-\x1f\x7f]+$"
Identifier = Annotated[str, Path(min_length=1, max_length=300, pattern=PLAIN)]

_PROBLEMS = {
    404: "Nothing has that identifier.",
    409: "Not in a state in which that can be done; nothing was changed.",
    503: "A part that this needs does not answer now.",
}


def resource(tag: str) -> APIRouter:
    """A router for one resource."""
    return APIRouter(tags=[tag], route_class=AuthenticatedRoute)


def answers(example: Any, *problems: int, status: int = 200, description: str = "OK") -> dict[int | str, Any]:
    """`responses` of a route: an example of its answer, and the errors that are its own."""
    described: dict[int | str, Any] = {
        status: {"description": description, "content": {"application/json": {"example": example}}}
    }
    for code in problems:
        described[code] = {
            "description": _PROBLEMS[code],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
    return described


def takes(example: Any) -> dict[str, Any]:
    """`openapi_extra` of a route with a body: an example that works as it is."""
    return {"requestBody": {"content": {"application/json": {"example": example}}}}


__all__ = ["PLAIN", "Identifier", "PartsOf", "ProblemDetails", "answers", "resource", "takes"]
