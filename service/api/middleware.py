"""What happens around every request: its time is measured, its answer gets safe headers, its crash a plain answer."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem, too_large

if TYPE_CHECKING:
    from service.telemetry import Metrics

_log = logging.getLogger(__name__)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Set where the answer does not set its own. From OWASP's REST security cheat sheet."""


class Around:
    """Pure ASGI, so that it costs little and streams pass through."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and watch its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:  # the last place where one can be turned into an answer
            if status:
                raise
            await _crash_answer(scope)(scope, receive, watched)
        finally:
            self._metrics.request(_template(scope), scope["method"], status, perf_counter() - started)


class BodyLimit:
    """Refuses bodies of more than `most` bytes, or of what `larger` says for a path: by their declared length at once,
    else when they reach it.
    """

    def __init__(self, app: ASGIApp, most: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._most = most
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._larger.get(scope["path"], self._most)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            await too_large(most, scope["path"])(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, str(most))
            return message

        await self._app(scope, counted, send)


def _crash_answer(scope: Scope) -> ASGIApp:
    error_id = secrets.token_hex(8)
    _log.exception("error %s in %s %s", error_id, scope["method"], scope["path"])
    detail = f"something went wrong inside Suture; its log has the details under {error_id}"
    return problem(500, "internal error", detail, instance=scope["path"], error_id=error_id)


def _template(scope: Scope) -> str:
    # The route's template, not the path: one series a route, however many incidents there are.
    return getattr(scope.get("route"), "path", "unknown")
