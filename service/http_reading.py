"""Reads a page for a check: a GET that changes nothing, to an address that was judged, for a bounded time."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from models.domain.errors import BadInput, Unavailable
from service.addresses import why_refused

if TYPE_CHECKING:
    import httpx


def status_of(address: str, client: httpx.Client | None, seconds: float) -> float:
    """The status of a GET, as a number. Raises as `answer_of`."""
    return float(answer_of(address, seconds, 0, client)[0])  # the body is left unread: it may be of any size


def answer_of(address: str, seconds: float, most: int, client: httpx.Client | None = None) -> tuple[int, bytes]:
    """Status and body of a GET, redirects not followed; with `most` 0 no body is read.

    Raises BadInput (cannot be asked) or Unavailable (no answer, or a body of over `most` bytes).
    """
    import httpx

    try:
        with (
            nullcontext(client) if client else httpx.Client(trust_env=False) as sender,
            closing(
                sender.send(_request_for(address, sender, seconds), stream=True, follow_redirects=False)
            ) as response,
        ):
            return response.status_code, _body(response, address, most)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise BadInput(f"{address} is not an http address: {error}") from error
    except httpx.HTTPError as error:
        raise Unavailable(f"{address} does not answer: {str(error) or type(error).__name__}") from error


def _body(response: httpx.Response, address: str, most: int) -> bytes:
    body = b""
    for part in response.iter_bytes() if most else ():
        body += part
        if len(body) > most:
            raise Unavailable(f"{address} answers with over {most:,} bytes")
    return body


def _request_for(address: str, sender: httpx.Client, seconds: float) -> httpx.Request:
    """A GET that goes to an address that was judged. Raises BadInput where it may not be asked.

    Private addresses may: that is where one's own services are. A label may stand in a check's address, so what no
    check is ever about (metadata services, link-local addresses) is refused.
    """
    request = sender.build_request("GET", address, timeout=seconds)
    if request.url.scheme not in ("http", "https"):
        return request  # which the sender refuses
    host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"{address}: the name {host} cannot be looked up: {error}") from error
    for each in found:
        if reason := why_refused(ipaddress.ip_address(each), private=True):
            raise BadInput(f"{address}: {reason}")
    # The one that was judged: a name may answer with another at the next look.
    request.url = request.url.copy_with(host=found[0])
    request.extensions = {**request.extensions, "sni_hostname": host}
    return request
