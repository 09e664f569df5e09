"""Supervisor's program `loadgen`: customers of the shop, as an open loop: they come whether or not it answers.

Arrivals are a Poisson process, so that the shop's series carry honest noise.
"""

from __future__ import annotations

import asyncio
import os
import random
import time

import httpx
from prometheus_client import CollectorRegistry, Counter, Summary, start_http_server

RATE = 40.0
"""Requests a second, on average."""
CHECKOUT_SHARE = 0.3
TIMEOUT = 2.0
"""Seconds that a customer waits: longer than the shop takes to say that its database is down."""


class Customers:
    """Sends requests and counts how they ended."""

    def __init__(self, client: httpx.AsyncClient, registry: CollectorRegistry, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)  # noqa: S311 (load, not secrets)
        self._requests = Counter(
            "client_requests_total", "Requests by status code; `error`: no answer", ["code"], registry=registry
        )
        self._duration = Summary(
            "client_request_duration_seconds", "Time until the answer or the failure", registry=registry
        )
        for code in ("200", "201", "500", "503", "error"):
            self._requests.labels(code)  # from 0 on, so that the first failure is an increase

    async def come(self) -> None:
        """Send requests forever. One that is late does not delay the next."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        pending: set[asyncio.Task[None]] = set()
        while True:
            due += self._random.expovariate(RATE)
            await asyncio.sleep(max(0.0, due - loop.time()))
            task = asyncio.create_task(self._visit(self._random.random() < CHECKOUT_SHARE))
            pending.add(task)
            task.add_done_callback(pending.discard)

    async def _visit(self, checkout: bool) -> None:
        started = time.perf_counter()
        try:
            response = await self._client.request(
                "POST" if checkout else "GET", "/checkout" if checkout else "/products"
            )
            code = str(response.status_code)
        except httpx.HTTPError:
            code = "error"
        self._duration.observe(time.perf_counter() - started)
        self._requests.labels(code).inc()


async def main() -> None:
    """Serve the metrics and send the load."""
    registry = CollectorRegistry()
    start_http_server(int(os.environ["LOADGEN_PORT"]), addr="127.0.0.1", registry=registry)
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
    async with httpx.AsyncClient(
        base_url=os.environ["SHOP_URL"], timeout=TIMEOUT, limits=limits, trust_env=False
    ) as client:
        await Customers(client, registry, int(os.environ["LOADGEN_SEED"])).come()


if __name__ == "__main__":
    asyncio.run(main())
