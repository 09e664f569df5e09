"""Log lines in, templates out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Query
from pydantic import BaseModel

from service.api import examples
from service.api.dependencies import PLAIN, PartsOf, answers, resource, takes
from service.api.problems import NothingValid, PlaceProblem
from service.log_formats import read_lines
from service.log_intake import LogTemplate
from service.security.auth import SENDER, VIEWER

router = resource("telemetry")


class LogReport(BaseModel):
    """What became of the lines of a request."""

    accepted: int
    """Counted, those of the next three included."""
    cut: int
    """Longer than `logs.max_line`: the beginning was read."""
    by_level_only: int
    """Beyond `logs.max_rate`: counted by level, their template was not looked up."""
    late: int
    """More than two minutes behind the newest: known to the templates, not counted in the series."""
    dropped: int
    """Of a service beyond `logs.max_services`."""
    templates_left: int
    """Templates that were not seen for longest and left for new ones (`logs.max_templates`)."""
    refused: tuple[PlaceProblem, ...]


class LogTemplateList(BaseModel):
    """Templates, the most frequent first."""

    items: tuple[LogTemplate, ...]


@router.post(
    "/v1/logs",
    summary="Send log lines",
    status_code=202,
    responses=answers(examples.LOG_REPORT, 503, status=202, description="At least one was taken."),
    openapi_extra=takes(examples.LOGS),
    dependencies=[SENDER],
)
def send_logs(parts: PartsOf, body: Annotated[Any, Body()]) -> LogReport:
    """A list of lines, or `{"logs": [...]}`; OTLP/HTTP in JSON (`resourceLogs`) and Loki's push format (`streams`) too.

    Lines become templates, templates are counted as series, and detection runs on them. Each line is checked by itself:
    the answer counts what became of them and lists those that were refused. 422 where none was valid.
    """
    read = read_lines(body, parts.clock(), parts.settings.retention)
    if read.refused and not read.lines:
        raise NothingValid(read.refused)
    taken = parts.logs.lines(read.lines)
    return LogReport(**vars(taken), refused=tuple(PlaceProblem(**each) for each in read.refused))


@router.get(
    "/v1/logs/templates",
    summary="List log templates",
    responses=answers({"items": [examples.LOG_TEMPLATE]}),
    dependencies=[VIEWER],
)
def list_templates(
    parts: PartsOf,
    service: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="How many items at most.")] = 1000,
) -> LogTemplateList:
    """The kinds of lines of each service, with counts; what differs is masked, secrets are replaced."""
    return LogTemplateList(items=tuple(parts.logs.templates(service)[:limit]))
