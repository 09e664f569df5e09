"""Supervisor's program `loadgen`: customers of the shop, as an open loop: they come whether or not it answers.

Arrivals are a Poisson process, so that the shop's series carry honest noise. Customers come through the front door,
over TLS, and trust the sandbox's authority alone. No connection lives for long, so that an expired certificate shows.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Summary, start_http_server

from evals.sandbox.layout import HOST, SERVER_NAME
from evals.sandbox.load import read_load

TIMEOUT = 2.0
"""Seconds that a customer waits: longer than the shop takes to say that its database is down."""
CONNECTION_SECONDS = 1.0
"""After this time the customers that come use new connections."""
LOOK_SECONDS = 0.5
"""Between two looks at how many customers are to come."""
NO_ANSWER, TLS_FAILURE = "error", "tls_failure"
CODES = ("200", "201", "500", "502", "503", "504", NO_ANSWER, TLS_FAILURE)


class Customers:
    """Sends requests and counts how they ended."""

    def __init__(self, url: str, trusted: Path, load: Path, registry: CollectorRegistry, seed: int) -> None:
        """`trusted`: the authority's certificate. `load`: the file that says how many come."""
        self._url = url
        self._tls = ssl.create_default_context(cafile=trusted)
        self._load_file = load
        self._load = read_load(load)
        self._random = random.Random(seed)  # noqa: S311 (load, not secrets)
        self._requests = Counter(
            "client_requests_total",
            "Requests by status code; `error`: no answer; `tls_failure`: the server cannot be trusted",
            ["code"],
            registry=registry,
        )
        self._duration = Summary(
            "client_request_duration_seconds", "Time until the answer or the failure", registry=registry
        )
        for code in CODES:
            self._requests.labels(code)  # from 0 on, so that the first failure is an increase

    async def come(self) -> None:
        """Send requests forever. One that is late does not delay the next."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_load())
            start = time.monotonic()
            while True:
                group.create_task(self._generation(group, start))
                start += CONNECTION_SECONDS
                await asyncio.sleep(start - time.monotonic())

    async def _watch_load(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._load = read_load(self._load_file)

    async def _generation(self, group: asyncio.TaskGroup, start: float) -> None:
        """The customers of one CONNECTION_SECONDS, who share their connections."""
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(self._url, connector=connector, timeout=timeout) as session:
            due, visits = start, []
            # An exponential wait has no memory: generations join without a seam.
            while (due := due + self._random.expovariate(self._load.rate)) < start + CONNECTION_SECONDS:
                await asyncio.sleep(due - time.monotonic())
                checkout = self._random.random() < self._load.checkout_share
                visits.append(group.create_task(self._visit(session, checkout)))
            await asyncio.gather(*visits)

    async def _visit(self, session: aiohttp.ClientSession, checkout: bool) -> None:
        started = time.perf_counter()
        method, path = ("POST", "/checkout") if checkout else ("GET", "/products")
        try:
            async with session.request(method, path, server_hostname=SERVER_NAME) as response:
                await response.read()
                code = str(response.status)
        except aiohttp.ClientSSLError:
            code = TLS_FAILURE
        except (aiohttp.ClientError, TimeoutError):
            code = NO_ANSWER
        self._duration.observe(time.perf_counter() - started)
        self._requests.labels(code).inc()


async def main() -> None:
    """Serve the metrics and send the load."""
    registry = CollectorRegistry()
    start_http_server(int(os.environ["LOADGEN_PORT"]), addr=HOST, registry=registry)
    await Customers(
        os.environ["SHOP_URL"],
        Path(os.environ["SHOP_CA"]),
        Path(os.environ["LOADGEN_LOAD"]),
        registry,
        int(os.environ["LOADGEN_SEED"]),
    ).come()


if __name__ == "__main__":
    asyncio.run(main())
