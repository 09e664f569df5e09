"""Supervisor's program `proxy`: the shop's front door. It takes customers over TLS and sends them to the active pool.

SIGHUP makes it read the pool's file and the certificate again. No connection is dropped: those that are open keep the
certificate of their handshake, and requests under way end where they began. A file that cannot be used is told on
standard error, and what was read before stays in force.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography import x509
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry, Counter, Gauge, Summary, start_http_server
from yarl import URL

from evals.sandbox.layout import HOST, POOL_HEADER

TIMEOUT = aiohttp.ClientTimeout(total=5.0, connect=1.0)
"""For a server of the pool to answer: longer than the shop's customers wait, so that it is they who give up."""
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
     "upgrade", "host", "content-length"}
)  # fmt: skip
"""RFC 9110, section 7.6.1, and the two that the libraries write anew."""


@dataclass(frozen=True)
class Routing:
    """What was read last: the pool by its name, its servers in turn, and the certificate that is served."""

    pool: str
    servers: itertools.cycle[str]
    tls: ssl.SSLContext
    not_after: float

    @classmethod
    def read(cls, pool: Path, certificate: Path, key: Path) -> Routing:
        """Raises OSError, ValueError or ssl.SSLError where a file cannot be used."""
        wanted = json.loads(pool.read_text())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        if not isinstance(wanted, dict) or not wanted.get("pool") or not wanted.get("servers"):
            raise ValueError(f"{pool} names no pool, or no servers of it")
        return cls(wanted["pool"], itertools.cycle(wanted["servers"]), tls, leaf.not_valid_after_utc.timestamp())


class Metrics:
    """What the proxy tells of itself."""

    def __init__(self, registry: CollectorRegistry, pools: list[str]) -> None:
        self._pools = pools
        self.requests = Counter("proxy_requests_total", "Requests answered", ["pool", "code"], registry=registry)
        self.duration = Summary("proxy_request_duration_seconds", "Time to answer, in seconds", registry=registry)
        self._up = Gauge("proxy_up", "1: takes customers", registry=registry)
        self._tls = Gauge("proxy_tls_ready", "1: the certificate that is served has not expired", registry=registry)
        self._active = Gauge(
            "proxy_active_pool_info", "1: customers are sent to this pool", ["pool"], registry=registry
        )
        self._not_after = Gauge(
            "proxy_certificate_not_after_seconds", "End of the certificate that is served, unix time", registry=registry
        )
        for code in ("200", "201", "502", "503", "504"):
            self.requests.labels(pools[0], code)  # from 0 on, so that the first failure is an increase

    def show(self, routing: Routing) -> None:
        """Set what follows from the files that were read."""
        self._up.set(1)
        self._not_after.set(routing.not_after)
        self._tls.set_function(lambda: float(time.time() < routing.not_after))
        for pool in self._pools:
            self._active.labels(pool).set(pool == routing.pool)


class Proxy:
    """Forwards requests as `routing` says."""

    def __init__(self, files: tuple[Path, Path, Path], metrics: Metrics, session: aiohttp.ClientSession) -> None:
        """`files`: pool, certificate, key. Raises as Routing.read does."""
        self._files = files
        self._metrics = metrics
        self._session = session
        self._routing = Routing.read(*files)
        metrics.show(self._routing)

    def reload(self) -> None:
        """Read the files again; new requests and new connections go by them."""
        try:
            self._routing = Routing.read(*self._files)
        except (OSError, ValueError, ssl.SSLError) as error:
            print(f"what was read before stays in force: {error}", file=sys.stderr)
            return
        self._metrics.show(self._routing)

    def tls(self) -> ssl.SSLContext:
        """For the listener: each handshake takes the certificate of that moment."""

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._routing.tls

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files[1:])
        context.sni_callback = choose
        return context

    async def forward(self, request: web.Request) -> web.Response:
        """Answer with what a server of the pool answers; 502 where none does, 504 where it is too late."""
        started = time.perf_counter()
        routing = self._routing
        try:
            response = await self._ask(next(routing.servers), request)
        except TimeoutError:  # aiohttp's own are both kinds
            response = web.Response(status=504, text="the shop does not answer in time\n")
        except aiohttp.ClientError:
            response = web.Response(status=502, text="the shop does not answer\n")
        response.headers[POOL_HEADER] = routing.pool
        self._metrics.duration.observe(time.perf_counter() - started)
        self._metrics.requests.labels(routing.pool, str(response.status)).inc()
        return response

    async def _ask(self, server: str, request: web.Request) -> web.Response:
        async with self._session.request(
            request.method,
            URL(f"http://{server}{request.raw_path}", encoded=True),
            headers=_end_to_end(request.headers),
            data=await request.read() if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            headers = CIMultiDict(_end_to_end(answer.headers))
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)


def _end_to_end(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP]


async def main() -> None:
    """Serve until SIGTERM."""
    registry = CollectorRegistry()
    start_http_server(int(os.environ["PROXY_METRICS_PORT"]), addr=HOST, registry=registry)
    files = Path(os.environ["PROXY_POOL"]), Path(os.environ["PROXY_CERTIFICATE"]), Path(os.environ["PROXY_KEY"])
    ended = asyncio.Event()
    # A connection for each request: it is taken by a worker that is idle, where an old one stays with its worker.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, auto_decompress=False) as session:
        proxy = Proxy(files, Metrics(registry, os.environ["PROXY_POOLS"].split(",")), session)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, proxy.reload)
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", proxy.forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, HOST, int(os.environ["PROXY_PORT"]), ssl_context=proxy.tls()).start()
        # Last, so that nobody signals a process that would die of it.
        Path(os.environ["PROXY_PID_FILE"]).write_text(str(os.getpid()))
        await ended.wait()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
