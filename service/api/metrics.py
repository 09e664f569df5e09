"""Suture's own metrics, for a Prometheus to scrape."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request, Response

from service.api.dependencies import resource
from service.parts import Parts
from service.telemetry import Metrics

router = resource("operations")

_EXAMPLE = """\
# HELP suture_incidents Incidents by status.
# TYPE suture_incidents gauge
suture_incidents{status="open"} 1.0
"""


def register(metrics: Metrics, parts: Parts) -> None:
    """Make the state of the installation readable at each scrape."""
    metrics.read("gauge", "suture_incidents", "Incidents by status.", parts.incidents.counts, "status")
    metrics.read("gauge", "suture_executions", "Executions by state.", parts.executions.counts, "state")
    metrics.read("gauge", "suture_replicas", "Workers by state, of the last day.", parts.replicas.counts, "state")
    metrics.read("gauge", "suture_slos", "Objectives by state.", parts.slos.states_counted, "state")
    metrics.read("gauge", "suture_checks", "Standing checks by state.", parts.standing.counts, "state")
    metrics.read("gauge", "suture_kill_switch", "1 while the kill switch is on.", parts.kill_switch.is_on)
    metrics.read("gauge", "suture_series", "Series in the embedded store.", parts.samples.series_count)
    metrics.read("counter", "suture_samples", "Samples kept since the start.", lambda: parts.samples.appended)
    metrics.read(
        "counter", "suture_samples_refused", "Samples refused since the start: too many series.",
        lambda: parts.samples.refused,
    )  # fmt: skip
    metrics.read("counter", "suture_log_lines", "Log lines taken, and what became of them.", _lines(parts), "became")
    parts.intake.room.register(metrics)
    if parts.pipeline.tally is not None:
        parts.pipeline.tally.register(metrics)


def _lines(parts: Parts) -> Callable[[], dict[str, float]]:
    return lambda: {name: float(count) for name, count in vars(parts.logs.total).items()}


@router.get(
    "/metrics",
    summary="Suture's own metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus text format.", "content": {"text/plain": {"example": _EXAMPLE}}}},
)
def metrics(request: Request) -> Response:
    """Incidents by status, executions by state, samples, series, and requests with their times."""
    own: Metrics = request.app.state.metrics
    body, content_type = own.exposition()
    return Response(body, headers={"Content-Type": content_type})
