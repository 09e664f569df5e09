"""Bodies that are sent compressed, as collectors do by default: unpacked piece by piece, so that limits still hold."""

from __future__ import annotations

import zlib
from collections.abc import Collection

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PIECE = 1_000_000
"""Bytes that one message holds at most: a few bytes may unpack to a thousand times as many."""
_GZIP = 16 + zlib.MAX_WBITS


class Unpack:
    """Pure ASGI. A body is unpacked when it is asked for, which is after its sender's key was checked."""

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body unpacked where it is gzip."""
        asked = scope["type"] == "http" and scope["path"] in self._paths
        if asked and Headers(scope=scope).get("content-encoding", "").strip().lower() == "gzip":
            receive = _Unpacked(receive).receive
        await self._app(scope, receive, send)


class _Unpacked:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._inflater = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._more = True

    async def receive(self) -> Message:
        """The next piece of the unpacked body. Raises HTTPException where it is no gzip."""
        while True:
            if not self._packed and self._more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._packed, self._more = message.get("body", b""), message.get("more_body", False)
            try:
                piece = self._inflater.decompress(self._packed, _PIECE)
            except zlib.error as error:
                raise HTTPException(400, "the body is not gzip, as its Content-Encoding says") from error
            self._packed = self._inflater.unconsumed_tail
            more = self._more or bool(self._packed)
            if not more and not self._inflater.eof:
                raise HTTPException(400, "the gzip body ends too early; send it as a whole")
            if piece or not more:
                return {"type": "http.request", "body": piece, "more_body": more}
