"""Samples in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body

from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource, takes
from service.api.problems import NothingValid, PlaceProblem
from service.json_input import Problem
from service.security.auth import SENDER
from service.sources.push import read_telemetry

router = resource("telemetry")


class TelemetryReport(Frozen):
    """What became of the samples of a request."""

    accepted: int
    """Samples taken."""
    refused: tuple[PlaceProblem, ...]


@router.post(
    "/v1/telemetry",
    summary="Send samples",
    status_code=202,
    responses=answers(examples.TELEMETRY_REPORT, 503, status=202, description="At least one was taken."),
    openapi_extra=takes(examples.TELEMETRY),
    dependencies=[SENDER],
)
def send_telemetry(parts: PartsOf, body: Annotated[Any, Body()]) -> TelemetryReport:
    """Samples of any number of series, as JSON; they are stored, and detection runs on them.

    Each is checked by itself: the answer lists those that were refused, with the path and the reason. 422 where none
    was valid.
    """
    read = read_telemetry(body, now=parts.clock(), retention=parts.settings.retention)
    refused = [Problem(path=each.path, problem=each.problem) for each in read.refused]
    if refused and not read.batches:
        raise NothingValid(refused)
    parts.intake.telemetry(read.batches)
    return TelemetryReport(accepted=read.accepted, refused=tuple(PlaceProblem(**each) for each in refused))
