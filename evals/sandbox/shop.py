"""Supervisor's program `shop`: a small web shop with several worker processes and a pool of database connections.

It knows nothing of Suture. It answers 503 within about a second when the database does not, and recovers by itself.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

WORKERS = 2
POOL_SIZE = 4
"""Connections of one worker, at most."""
BORROW_TIMEOUT = 1.0
"""Seconds that a request waits for a connection before it fails."""
CONNECTION_LIFETIME = 6.0
"""Seconds until a connection is replaced. Short, so that the shop soon notices a server that takes no new ones."""
PRODUCTS = 200
BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Of request times, in seconds: fine around the few ms of a healthy answer, up to beyond BORROW_TIMEOUT."""
Pool = AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]]


class Metrics:
    """The share that one worker has of the shop's metrics; prometheus-client sums the shares over files."""

    def __init__(self) -> None:
        nowhere = CollectorRegistry()  # the files are read, not the objects
        self.requests = Counter(
            "http_requests_total", "Requests answered", ["method", "path", "code"], registry=nowhere
        )
        self.duration = Histogram(
            "http_request_duration_seconds", "Time to answer, in seconds", buckets=BUCKETS, registry=nowhere
        )
        self.in_use = Gauge(
            "db_pool_in_use", "Connections that requests hold", registry=nowhere, multiprocess_mode="livesum"
        )
        self.size = Gauge("db_pool_size", "Connections of the pool", registry=nowhere, multiprocess_mode="livesum")
        self.errors = Counter("db_errors_total", "Requests that the database failed", registry=nowhere)


def create_app() -> FastAPI:
    """The application of one worker. Reads SHOP_DSN and PROMETHEUS_MULTIPROC_DIR from the environment."""
    metrics = Metrics()
    pool: Pool = AsyncConnectionPool(
        os.environ["SHOP_DSN"],
        kwargs={"options": "-c statement_timeout=900"},
        min_size=2,
        max_size=POOL_SIZE,
        timeout=BORROW_TIMEOUT,
        max_lifetime=CONNECTION_LIFETIME,
        # Give up early on reconnecting: the next request starts afresh, where backoff would wait up to minutes.
        reconnect_timeout=1.0,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await pool.open(wait=False)
        yield
        await pool.close(timeout=0.5)

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    _add_routes(app, pool, metrics)
    _add_observation(app, pool, metrics)
    return app


def _add_routes(app: FastAPI, pool: Pool, metrics: Metrics) -> None:
    async def run(query: str, parameters: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
        async with pool.connection() as connection:
            with metrics.in_use.track_inprogress():
                return await (await connection.execute(query, parameters)).fetchall()

    @app.get("/products")
    async def products() -> list[dict[str, Any]]:
        rows = await run("SELECT id, name, price_cents FROM store.products ORDER BY id LIMIT 20")
        return [dict(zip(("id", "name", "price_cents"), row, strict=True)) for row in rows]

    @app.post("/checkout", status_code=201)
    async def checkout() -> dict[str, int]:
        product = random.randint(1, PRODUCTS)  # noqa: S311 (any product does)
        rows = await run("INSERT INTO store.orders (product) VALUES (%s) RETURNING id", (product,))
        return {"order": rows[0][0]}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    for kind in (psycopg.Error, PoolTimeout, TooManyRequests):

        @app.exception_handler(kind)
        async def unavailable(_request: Request, error: Exception) -> JSONResponse:
            metrics.errors.inc()
            return JSONResponse({"error": type(error).__name__}, 503)


def _add_observation(app: FastAPI, pool: Pool, metrics: Metrics) -> None:
    @app.middleware("http")
    async def observe(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.path == "/metrics":
            return await answer(request)
        started = time.perf_counter()
        response = await answer(request)
        metrics.duration.observe(time.perf_counter() - started)
        path = request.url.path if request.scope.get("route") else "other"
        metrics.requests.labels(request.method, path, str(response.status_code)).inc()
        metrics.size.set(pool.get_stats()["pool_size"])
        return response

    @app.get("/metrics")
    def expose() -> Response:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def main() -> None:
    """Serve with WORKERS processes. Earlier runs' metric files are removed, so that counters start at 0."""
    for file in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db"):
        file.unlink()
    uvicorn.run(
        "evals.sandbox.shop:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(os.environ["SHOP_PORT"]),
        workers=WORKERS,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
