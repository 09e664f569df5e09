"""The shop as one worker serves it: a small web application with a pool of database connections.

It knows nothing of Suture. It answers 503 within about a second when the database does not, and recovers by itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from evals.sandbox.releases import Release, Releases
from evals.sandbox.shop_metrics import Metrics, expose
from evals.sandbox.utilisation import Utilisation

POOL_SIZE = 4
"""Connections of one worker, at most."""
BORROW_TIMEOUT = 1.0
"""Seconds that a request waits for a connection before it fails."""
CONNECTION_LIFETIME = 6.0
"""Seconds until a connection is replaced. Short, so that the shop soon notices a server that takes no new ones."""
PRODUCTS = 200
_LIST = "SELECT id, name, price_cents FROM store.products ORDER BY id LIMIT 10"
_STOCK = "SELECT 100 - count(*), pg_sleep(0.005) FROM store.orders WHERE product = %s"
"""With the time that a round trip takes where the database is on another machine."""
Pool = AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]]


def create_app() -> FastAPI:
    """The application of one worker. Reads SHOP_DSN, SHOP_IDLE_CONNECTIONS and SHOP_RELEASE from the environment."""
    file = Path(os.environ["SHOP_RELEASE"])
    release = Release.read(file)
    metrics = Metrics(release.version, Releases(file.parent).history().since(release.version))
    utilisation = Utilisation()
    pool: Pool = AsyncConnectionPool(
        os.environ["SHOP_DSN"],
        kwargs={"options": "-c statement_timeout=900"},
        min_size=int(os.environ["SHOP_IDLE_CONNECTIONS"]),
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
        watch = asyncio.create_task(utilisation.watch())
        await pool.open(wait=False)
        yield
        watch.cancel()
        await pool.close(timeout=0.5)

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    _add_routes(app, pool, metrics, release)
    expose(app, metrics, lambda: pool.get_stats()["pool_size"], lambda: utilisation.share)
    return app


def _add_routes(app: FastAPI, pool: Pool, metrics: Metrics, release: Release) -> None:
    async def run(*queries: tuple[str, tuple[int, ...]]) -> list[list[tuple[Any, ...]]]:
        async with pool.connection() as connection:
            with metrics.in_use.track_inprogress():
                return [await (await connection.execute(*query)).fetchall() for query in queries]

    @app.get("/products")
    async def products() -> list[dict[str, Any]]:
        [rows] = await run((_LIST, ()))
        if release.asks_for_each_product:
            await run(*((_STOCK, (row[0],)) for row in rows))
        return [dict(zip(("id", "name", "price_cents"), row, strict=True)) for row in rows]

    @app.post("/checkout", status_code=201)
    async def checkout() -> dict[str, int]:
        product = random.randint(1, PRODUCTS)  # noqa: S311 (any product does)
        [rows] = await run(("INSERT INTO store.orders (product) VALUES (%s) RETURNING id", (product,)))
        _sign(release.checkout_seconds)
        return {"order": rows[0][0]}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    for kind in (psycopg.Error, PoolTimeout, TooManyRequests):

        @app.exception_handler(kind)
        async def unavailable(_request: Request, error: Exception) -> JSONResponse:
            metrics.errors.inc()
            return JSONResponse({"error": type(error).__name__}, 503)


def _sign(seconds: float) -> None:
    """What a checkout costs: its worker's signing device takes that long, and the worker can do nothing else."""
    time.sleep(seconds)
