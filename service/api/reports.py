"""Reports: what is known of one incident, and how often each action helped."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from models.domain.base import Frozen
from service.api import report_examples as examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource
from service.incident_report import IncidentReport, markdown, record_of, report
from service.reporting.track_records import TrackRecord, track_records
from service.security.auth import VIEWER
from service.store.outcomes import Outcomes

router = resource("incidents")

_MARKDOWN = "text/markdown"
_REPORT_ANSWERS = answers(examples.REPORT, 404)
_REPORT_ANSWERS[200]["content"][_MARKDOWN] = {
    "schema": {"type": "string"}, "example": "# INC-7: PostgresDown on orders-db\n",
}  # fmt: skip


class TrackRecords(Frozen):
    """All actions that ever ran."""

    items: tuple[TrackRecord, ...]


class _Markdown(PlainTextResponse):
    media_type = _MARKDOWN


@router.get(
    "/v1/incidents/{id}/report",
    summary="The report on an incident",
    response_model=IncidentReport,
    responses=_REPORT_ANSWERS,
    dependencies=[VIEWER],
)
def get_report(parts: PartsOf, request: Request, id: Identifier) -> Response:
    """What was seen, recommended, decided, done and measured, with times in seconds and what follows from the facts.

    JSON; Markdown where `Accept` asks for `text/markdown`.
    """
    made = report(record_of(parts, id))
    if _wants_markdown(request.headers.get("accept", "")):
        return _Markdown(markdown(made))
    content: Any = made.model_dump(mode="json")
    return JSONResponse(content)


@router.get(
    "/v1/outcomes",
    summary="How often each action helped, by environment",
    tags=["executions"],
    responses=answers({"items": [examples.TRACK_RECORD]}),
    dependencies=[VIEWER],
)
def list_outcomes(
    parts: PartsOf,
    runbook: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
    environment: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
) -> TrackRecords:
    """What ranking and autonomy go by: runs, verified ones, and a lower bound of the rate of verified success."""
    found = Outcomes(parts.database).all(runbook=runbook, environment=environment)
    return TrackRecords(items=tuple(track_records(found)))


def _wants_markdown(accept: str) -> bool:
    """Whether Markdown is named, with a quality above 0 and not below JSON's. See RFC 9110, 12.5.1."""
    wanted: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
        try:
            wanted[name] = float(quality)
        except ValueError:
            wanted[name] = 0.0
    return wanted.get(_MARKDOWN, 0.0) > 0 and wanted[_MARKDOWN] >= wanted.get("application/json", 0.0)
