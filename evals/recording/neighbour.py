"""A service that has nothing to do with the shop, and is watched by the same monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from evals.sandbox.config import ENVIRONMENT
from evals.sandbox.layout import HOST, free_ports

_USUAL = 20.0
"""Reports that wait, on average."""


class Neighbour(Collector):
    """Its metrics, served on a port of this process until the end of the block. Each scrape is one step of its day."""

    def __init__(self, random: Random) -> None:
        self.unrest = 1.0
        """How many times as many reports wait as usual."""
        self._random = random
        self._waiting, self._written = _USUAL, 0.0
        self.port = free_ports(("neighbour",))["neighbour"]

    @property
    def target(self) -> dict[str, object]:
        """The entry of the settings that lets Suture scrape it."""
        labels = {"service": "reports", "process": "reports", "environment": ENVIRONMENT}
        return {"url": f"http://{HOST}:{self.port}/metrics", "labels": labels}

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        drift = 0.3 * (_USUAL * self.unrest - self._waiting)
        self._waiting = max(0.0, self._waiting + drift + self._random.gauss(0.0, 1.5))
        self._written += max(0.0, self._random.gauss(5.0, 1.0))
        yield GaugeMetricFamily("report_queue_length", "Reports that wait", value=round(self._waiting))
        yield CounterMetricFamily("reports_written", "Reports that were written", value=round(self._written))

    def __enter__(self) -> Self:
        registry = CollectorRegistry()
        registry.register(self)
        self._server, self._thread = start_http_server(self.port, addr=HOST, registry=registry)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
