"""Asks through the router which pool answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service.executors.traffic_settings import Router, Status
from service.ports import ExecutorError
from service.validation import trust

if TYPE_CHECKING:
    import httpx

_SECONDS = 2.0
"""Longest wait for one answer of a status page."""
_LONGEST = 4096
"""Bytes of a body that are read."""
_SHOWN = 100


def answering(router: Router, status: Status, seconds: float) -> str | None:
    """The pool that answered; None where it is none of this router's. Raises ExecutorError without an answer."""
    told = _ask(status, seconds)
    return next((pool for pool in router.pools if told in router.told_by(pool)), None)


def words(status: Status, seconds: float) -> str:
    """What is answered, for an error's words."""
    try:
        return f"{status.url} answers {_ask(status, seconds)[:_SHOWN]!r}"
    except ExecutorError as error:
        return str(error)


def _ask(status: Status, seconds: float) -> str:
    import httpx

    limit = min(max(seconds, 0.05), _SECONDS)
    until = time.monotonic() + limit
    try:
        # A connection of its own: one that was kept open would still lead to the router's old workers.
        with (
            httpx.Client(verify=trust(status.ca), trust_env=False, timeout=limit) as client,
            client.stream("GET", status.url, headers={"Connection": "close"}) as response,
        ):
            if response.status_code >= 500:
                raise ExecutorError(f"{status.url} answers {response.status_code}")
            # The body may be any page of the pool's, and have no end.
            return (response.headers.get(status.header, "") if status.header else _body(response, until)).strip()
    except httpx.HTTPError as error:
        raise ExecutorError(f"{status.url} does not answer: {str(error) or type(error).__name__}") from error


def _body(response: httpx.Response, until: float) -> str:
    """The text, cut at what no name of a pool reaches, and at the time."""
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _LONGEST or time.monotonic() > until:
            break
    return body[:_LONGEST].decode("utf-8", "replace")
