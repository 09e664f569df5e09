"""Traces in, and who depends on whom."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body

from models.domain.base import Frozen
from models.domain.topology import Service
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource, takes
from service.api.problems import NothingValid, NotJson, PlaceProblem
from service.discovery.book import KnownEdge
from service.security.auth import SENDER, VIEWER

router = resource("telemetry")


class PartialSuccess(Frozen):
    """OTLP's own words for what was refused."""

    rejectedSpans: int  # noqa: N815  (OTLP's name)
    errorMessage: str  # noqa: N815


class TraceReport(Frozen):
    """What became of the spans of a request."""

    accepted: int
    calls: int
    """Between two services that these spans showed."""
    edges_refused: int
    """New dependencies beyond `discovery.max_edges`."""
    refused: tuple[PlaceProblem, ...]
    partialSuccess: PartialSuccess | None = None  # noqa: N815  (OTLP's name)


class TopologyView(Frozen):
    """What the flow works with, and where each dependency comes from."""

    services: dict[str, Service]
    edges: tuple[KnownEdge, ...]


@router.post(
    "/v1/traces",
    summary="Send spans",
    responses=answers(examples.TRACE_REPORT, 503, description="At least one was taken."),
    openapi_extra=takes(examples.TRACES),
    dependencies=[SENDER],
)
def send_traces(parts: PartsOf, body: Annotated[Any, Body()]) -> TraceReport:
    """OTLP/HTTP in JSON. Spans are not kept: what is kept is which service calls which, how often, and when last.

    Each is checked by itself: the answer lists those that were refused, with the path and the reason. 422 where none
    was valid. OTLP in protobuf is refused with 415; exporters send JSON where `http/json` is chosen.
    """
    if isinstance(body, bytes):
        words = "the body is not declared as JSON; set your exporter's protocol to http/json, not http/protobuf"
        raise NotJson(f"{words} (`OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`), or send through a collector that does")
    read = parts.traces.read(body)
    if read.refused and not read.spans:
        raise NothingValid(read.refused)
    full = parts.discovery.add(read.calls, "traces")
    rejected = PartialSuccess(
        rejectedSpans=len(read.refused),
        errorMessage="; ".join(f"{one['path']}: {one['problem']}" for one in read.refused[:3]),
    )
    return TraceReport(
        accepted=read.spans,
        calls=sum(read.calls.values()),
        edges_refused=full,
        refused=tuple(PlaceProblem(**one) for one in read.refused),
        partialSuccess=rejected if read.refused else None,
    )


@router.get(
    "/v1/topology",
    summary="Who depends on whom",
    responses=answers(examples.TOPOLOGY),
    dependencies=[VIEWER],
)
def get_topology(parts: PartsOf) -> TopologyView:
    """The topology file, completed by what traces and metrics showed where the file says nothing."""
    return TopologyView(services=parts.discovery.current().services, edges=tuple(parts.discovery.edges()))
