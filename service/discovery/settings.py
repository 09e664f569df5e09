"""The settings of discovery: where calls are looked for, and for how long a call that was seen counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from models.domain.base import Frozen
from service.guard_settings import Span

_MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
_LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class CallMetric(Frozen):
    """A counter of calls, with the labels that name both ends."""

    metric: _MetricName
    caller: _LabelName
    callee: _LabelName


class DiscoverySettings(Frozen):
    """How services' dependencies are found."""

    metrics: tuple[CallMetric, ...] = (
        CallMetric(metric="traces_service_graph_request_total", caller="client", callee="server"),
        CallMetric(metric="istio_requests_total", caller="source_app", callee="destination_app"),
    )
    """Asked of `source` every minute. An empty list: none."""
    fade: Span = timedelta(days=7)
    """A dependency that was not seen for so long is used no more; after four times as long it is forgotten."""
    max_edges: Annotated[int, Field(ge=1)] = 10_000
    """Further ones are refused and counted, so that names made up by a sender cannot fill the disk."""
