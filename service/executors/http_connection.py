"""One request over one connection, to an address that was judged before, within one deadline for the whole of it.

httpx limits each read by itself, and looks names up anew: hence its engine, httpcore, with a network of ours below.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

import httpcore
import httpx

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is cut at the limit; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool

    @property
    def text(self) -> str:
        """The body by the charset that it names, else UTF-8; what does not fit is replaced."""
        kind = Message()
        kind["Content-Type"] = self.headers.get("content-type", "")
        try:
            return self.body.decode(kind.get_content_charset() or "utf-8", "replace")
        except LookupError:  # a charset that nobody knows
            return self.body.decode("utf-8", "replace")


def exchange(
    request: httpx.Request, addresses: Sequence[str], *, tls: ssl.SSLContext | None, deadline: float, limit: int
) -> Answer:
    """Send `request` to the first of `addresses` that takes the connection, and read at most `limit` bytes of body.

    `deadline` is in seconds of `time.monotonic`. The certificate is checked against the name in the request, not
    against the address. Raises httpcore's errors: ConnectError and ConnectTimeout where nothing was sent.
    """
    url = request.url
    network = _Network(addresses, deadline)
    with (
        httpcore.ConnectionPool(ssl_context=tls, max_keepalive_connections=0, network_backend=network) as pool,
        pool.stream(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.content,
        ) as response,
    ):
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > limit:
                break
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, headers, bytes(body[:limit]), len(body) > limit)


class _Network(httpcore.NetworkBackend):
    """Connects to given addresses, whatever the name."""

    def __init__(self, addresses: Sequence[str], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002  (already looked up)
        port: int,
        timeout: float | None = None,  # noqa: ARG002  (the deadline counts)
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError("it has no address")
        for address in self._addresses:
            try:
                left = _left(self._deadline, httpcore.ConnectTimeout("no connection in time"))
                stream = self._real.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _Stream(stream, self._deadline)
        raise failed


class _Stream(httpcore.NetworkStream):
    """A connection on which each step has what is left until the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        late = httpcore.ReadTimeout("the answer was not complete in time")
        try:
            return self._inner.read(max_bytes, _left(self._deadline, late))
        except httpcore.ReadTimeout as error:
            raise late from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._inner.write(buffer, _left(self._deadline, httpcore.WriteTimeout("the request was not sent in time")))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout("no TLS handshake in time"))
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float, late: Exception) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise late
    return left
