"""Every error as application/problem+json (RFC 9457), whoever raised it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from starlette.exceptions import HTTPException

from models.domain.errors import BadInput, SutureError, Unauthenticated
from service.json_input import Problem, json_path, position
from service.plain_words import words_of

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class PlaceProblem(BaseModel):
    """One thing that is wrong with a request, and where."""

    path: str = Field(description="A JSON path into the body, or `query.NAME`, `path.NAME`, `header.NAME`.")
    problem: str


class ProblemDetails(BaseModel):
    """An error answer (RFC 9457)."""

    type: str = Field(description="A URN that names the kind of error.")
    title: str = Field(description="The kind of error in words, the same for every error of the kind.")
    status: int
    detail: str = Field(description="What is wrong here, and what would mend it.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[PlaceProblem] = Field(default=[], description="The places that are wrong, for bad input.")


class NothingValid(BadInput):
    """A batch of which no item could be taken."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"none of the items is valid; the first: {problems[0]['path']}: {problems[0]['problem']}")
        self.problems = tuple(problems)


class NotJson(BadInput):
    """A body in another format, by its declaration."""

    status = 415
    title = "not JSON"


class MalformedJson(BadInput):
    """A body that is not JSON."""

    status = 400
    title = "malformed JSON"


def problem(
    status: int, title: str, detail: str, *, instance: str, errors: Sequence[Problem] = (), **more: Any
) -> JSONResponse:
    """An error answer. `more` are members that the kind of error adds."""
    body = {
        "type": "urn:suture:problem:" + title.lower().replace(" ", "-"),
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        **({"errors": list(errors)} if errors else {}),
        **more,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every kind of error with a problem."""
    app.add_exception_handler(SutureError, _suture_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    for failure in (OperationalError, InterfaceError, NoFreeConnection):
        app.add_exception_handler(failure, _database_error)


def _suture_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SutureError)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s %s: %s", request.method, request.url.path, error)
    answer = problem(error.status, error.title, str(error), instance=request.url.path, errors=_places(error))
    if isinstance(error, Unauthenticated):
        # RFC 6750, section 3: the error code is left out where no credentials were sent.
        sent = "authorization" in request.headers
        answer.headers["WWW-Authenticate"] = 'Bearer realm="suture"' + (', error="invalid_token"' if sent else "")
    return answer


def _places(error: SutureError) -> Sequence[Problem]:
    if isinstance(error, NothingValid):
        return error.problems
    if isinstance(error, BadInput) and error.where:
        return [Problem(path=error.where, problem=error.problem)]
    return []


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):
        detail = "the body is not declared as JSON; send it with `Content-Type: application/json`"
        return problem(415, "not JSON", detail, instance=request.url.path)
    items = error.errors()
    if items and items[0]["type"] == "json_invalid":
        place = position(str(error.body), int(items[0]["loc"][1]))
        detail = f"the body is not valid JSON: {items[0]['ctx']['error']} at {place}"
        return problem(400, "malformed JSON", detail, instance=request.url.path)
    errors = [Problem(path=_place(item["loc"]), problem=words_of(item)) for item in items]
    detail = "; ".join(f"{each['path']}: {each['problem']}" for each in errors)
    return problem(BadInput.status, BadInput.title, detail, instance=request.url.path, errors=errors)


def _place(loc: Sequence[object]) -> str:
    origin, *path = loc
    return json_path(path, "$" if origin == "body" else str(origin))


def too_large(most: int, instance: str) -> JSONResponse:
    """The answer to a body of more than `most` bytes."""
    detail = f"the body is larger than {most} bytes, the most that is taken; send smaller batches"
    return problem(413, "body too large", detail, instance=instance)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return too_large(int(error.detail), request.url.path)
    words = _WORDS.get(error.status_code, {})
    title = words.get("title", HTTPStatus(error.status_code).phrase.lower())
    detail = words.get("detail", str(error.detail)).format(method=request.method, path=request.url.path)
    answer = problem(error.status_code, title, detail, instance=request.url.path)
    answer.headers.update(error.headers or {})
    return answer


_WORDS: Mapping[int, Mapping[str, str]] = {
    404: {"detail": "there is nothing at {path}; /openapi.json lists what there is"},
    405: {"detail": "{path} does not take {method}; the Allow header lists what it takes"},
}


def _database_error(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s: the database does not answer: %s", request.method, request.url.path, error)
    return problem(503, "unavailable", "the database does not answer; try again later", instance=request.url.path)
