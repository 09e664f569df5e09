"""The OpenAPI document: tags, the role that each route needs, and the errors that every route shares."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from service.api.problems import MEDIA_TYPE, ProblemDetails
from service.security.auth import role_needed

DESCRIPTION = """\
Everything but `/livez`, `/readyz`, `/metrics` and this document needs an API key: `Authorization: Bearer sut_…`.
Roles, each including the ones before: viewer, sender, approver, admin.

Errors are `application/problem+json` (RFC 9457). Lists come in pages: pass `next` of one page as `cursor` for the
following one. Times are RFC 3339 with a zone; durations read and write like `90s` or `1h30m`."""

TAGS = [
    {"name": "telemetry", "description": "Samples and signals in."},
    {"name": "objectives", "description": "Service level objectives and standing checks."},
    {"name": "incidents", "description": "Signals that belong together."},
    {"name": "recommendations", "description": "Ranked candidates with justification and citations."},
    {"name": "executions", "description": "Runs of candidates, and people's words on them."},
    {"name": "autonomy", "description": "How far Suture may go with each action, and what people did themselves."},
    {"name": "runbooks", "description": "The corpus."},
    {"name": "tickets", "description": "The embedded tracker."},
    {"name": "detector", "description": "What the detector knows of each series, and feedback on its incidents."},
    {"name": "control", "description": "The kill switch, maintenance windows, silences, the audit log and API keys."},
    {"name": "operations", "description": "Health and metrics of Suture itself; open to all who reach the port."},
]


def version() -> str:
    """The installed version of Suture."""
    return installed_version("suture")


def install(app: FastAPI) -> None:
    """Make `/openapi.json` say what FastAPI cannot know by itself."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, tags=app.openapi_tags,
        routes=app.routes,
    )  # fmt: skip
    schemas = made["components"]["schemas"]
    schemas.update(_schema_of_problems())
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(made["paths"][route.path_format][method.lower()], route)
    return made


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    role = role_needed(route)
    needs = f"Needs a key with the role `{role}`." if role else "Needs no key."
    operation["description"] = f"{operation.get('description', '').strip()}\n\n{needs}".strip()
    shared = {"401": "No key, or one that is not known.", "403": "The key's role is too low."} if role else {}
    if "422" in operation["responses"]:
        shared["422"] = "Bad input: `errors` says where."
    if "requestBody" in operation and role:
        shared |= {
            "400": "The body is not JSON.",
            "413": "The body is too large.",
            "415": "The body is not declared as JSON.",
        }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for code, words in shared.items():
        operation["responses"][code] = {"description": words, "content": content}


def _schema_of_problems() -> dict[str, Any]:
    schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "ProblemDetails": schema}
