"""Puts the REST API together."""

from __future__ import annotations

from fastapi import FastAPI

from service.api import (
    audit,
    autonomy,
    checks,
    corpus,
    detector,
    events,
    executions,
    health,
    incidents,
    keys,
    kill_switch,
    logs,
    maintenance,
    metrics,
    model,
    openapi,
    problems,
    recommendations,
    replicas,
    reports,
    runbooks,
    signals,
    silences,
    slos,
    telemetry,
    tickets,
    topology,
    webhooks,
)
from service.api.event_stream import EventStreams
from service.api.middleware import Around, BodyLimit
from service.api.unpacking import Unpack
from service.parts import Parts
from service.telemetry import Metrics

MAX_BODY_BYTES = 10_000_000
"""About 100,000 samples as JSON: senders with more send several batches."""
MAX_LOG_BYTES = 32_000_000
"""Of one body of log lines: one line may be 10 MB, of which the beginning is read."""

_RESOURCES = (
    telemetry, topology, logs, events, signals, slos, checks, webhooks, incidents, recommendations, executions,
    runbooks, corpus, tickets, autonomy, audit, kill_switch, maintenance, silences, detector, replicas, keys, health,
    metrics, model, reports,
)  # fmt: skip


def create_api(parts: Parts, *, max_body_bytes: int = MAX_BODY_BYTES) -> FastAPI:
    """The REST API over `parts`. Larger bodies than `max_body_bytes` are refused with 413."""
    app = FastAPI(
        title="Suture",
        version=openapi.version(),
        summary="Incidents in, verified remediations out.",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        # The interactive pages load their scripts from elsewhere; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.state.metrics = Metrics()
    app.state.streams = EventStreams()
    metrics.register(app.state.metrics, parts)
    problems.install(app)
    app.add_middleware(BodyLimit, most=max_body_bytes, larger={"/v1/logs": max(MAX_LOG_BYTES, max_body_bytes)})
    app.add_middleware(Unpack, paths={"/v1/logs"})
    app.add_middleware(Around, metrics=app.state.metrics)
    for resource in _RESOURCES:
        app.include_router(resource.router)
    openapi.install(app)
    return app
