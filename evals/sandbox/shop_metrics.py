"""The shop's metrics: each worker keeps its share in files, and whoever is asked for metrics sums them up."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Of request times, in seconds: fine around the few ms of a healthy answer, up to beyond `shop.BORROW_TIMEOUT`."""
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of the files, in the environment: prometheus-client reads it when it is imported."""
_WORKERS, _UTILISATION = "shop_workers", "shop_worker_utilisation"


class Metrics:
    """The share that one worker has of the shop's metrics."""

    def __init__(self, version: str, deployed: datetime) -> None:
        """`version` is out since `deployed`."""
        nowhere = CollectorRegistry()  # the files are read, not the objects

        def gauge(name: str, words: str) -> Gauge:
            return Gauge(name, words, registry=nowhere, multiprocess_mode="livesum")

        self.requests = Counter(
            "http_requests_total", "Requests answered", ["method", "path", "code"], registry=nowhere
        )
        self.duration = Histogram(
            "http_request_duration_seconds", "Time to answer, in seconds", buckets=BUCKETS, registry=nowhere
        )
        self.in_use = gauge("db_pool_in_use", "Connections that requests hold")
        self.size = gauge("db_pool_size", "Connections of the pool")
        self.errors = Counter("db_errors_total", "Requests that the database failed", registry=nowhere)
        self.utilisation = gauge(_UTILISATION, "Busy share of a worker's time, 0 to 1, mean over workers")
        gauge(_WORKERS, "Workers that run").set(1)
        release = Gauge(
            "shop_release_info", "1: this release runs", ["version"], registry=nowhere, multiprocess_mode="livemax"
        )
        release.labels(version).set(1)
        since = Gauge(
            "deployment_timestamp_seconds", "Since when this release is out, unix time",
            registry=nowhere, multiprocess_mode="livemax",
        )  # fmt: skip
        since.set(deployed.timestamp())


class _OverWorkers(Collector):
    """The sum of the workers' shares; of their utilisation, the mean."""

    def __init__(self) -> None:
        self._files = MultiProcessCollector(None)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        families = {family.name: family for family in self._files.collect()}  # type: ignore[no-untyped-call]
        busy = families.pop(_UTILISATION, None)
        if busy is not None:
            mean = busy.samples[0].value / families[_WORKERS].samples[0].value
            yield GaugeMetricFamily(_UTILISATION, busy.documentation, mean)
        yield from families.values()


def forget_earlier_runs() -> None:
    """Remove the files of workers of an earlier start, so that counters begin at 0."""
    for file in Path(os.environ[FOLDER]).glob("*.db"):
        file.unlink()


def expose(app: FastAPI, metrics: Metrics, pool_size: Callable[[], int], utilisation: Callable[[], float]) -> None:
    """Measure every request, and answer GET /metrics."""

    @app.middleware("http")
    async def observe(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.path == "/metrics":
            return await answer(request)
        started = time.perf_counter()
        response = await answer(request)
        metrics.duration.observe(time.perf_counter() - started)
        path = request.url.path if request.scope.get("route") else "other"
        metrics.requests.labels(request.method, path, str(response.status_code)).inc()
        metrics.size.set(pool_size())
        metrics.utilisation.set(utilisation())
        return response

    @app.get("/metrics")
    def read() -> Response:
        metrics.utilisation.set(utilisation())
        _forget_the_dead()
        registry = CollectorRegistry()
        registry.register(_OverWorkers())
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _forget_the_dead() -> None:
    """What a worker that is gone said of itself as a living one counts no more."""
    for file in Path(os.environ[FOLDER]).glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
