"""Server-sent events (WHATWG HTML, section 9.2) from work in a thread, ended when the client leaves."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic import BaseModel
from starlette.responses import StreamingResponse

from models.domain.errors import SutureError, Unavailable

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment is sent, so that proxies keep the connection, and a dead one is noticed."""
MAX_STREAMS = 32
"""At once, in one process: each holds a thread while the model writes."""

_log = logging.getLogger(__name__)
_END = None


class Gone(Exception):
    """The client left: nobody waits for the rest."""


class Sender:
    """Hands events from the working thread to the response."""

    def __init__(self, loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[tuple[str, Any] | None]) -> None:
        self._loop, self._queue = loop, queue
        self.gone = threading.Event()

    def send(self, event: str, data: Any) -> None:
        """One event. Raises Gone once the client has left."""
        self.check()
        self._put((event, data))

    def check(self) -> None:
        """Raises Gone once the client has left."""
        if self.gone.is_set():
            raise Gone

    def end(self) -> None:
        """Nothing comes any more."""
        self._put(_END)

    def _put(self, item: tuple[str, Any] | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError as error:  # the loop is closed: the service stops
            raise Gone from error


class EventStreams:
    """The streams of one application."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._active = 0
        self._lock = threading.Lock()

    def respond(self, work: Callable[[Sender], None]) -> StreamingResponse:
        """A response with the events that `work` sends from a thread of its own. Raises Unavailable at the limit."""
        if self._active >= self._most:
            raise Unavailable(f"{self._most} recommendations are being streamed; try again, or ask without a stream")
        # nginx buffers answers unless it is told not to.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._events(work), media_type=MEDIA_TYPE, headers=headers)

    async def _events(self, work: Callable[[Sender], None]) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        sender = Sender(asyncio.get_running_loop(), queue)
        threading.Thread(target=self._run, args=(work, sender), name="event-stream", daemon=True).start()
        number = 0
        try:
            while True:
                try:
                    item = await asyncio.wait_for(queue.get(), KEEP_ALIVE)
                except TimeoutError:
                    yield b": still at it\n\n"
                    continue
                if item is _END:
                    return
                number += 1
                yield _encoded(number, *item)
        finally:
            sender.gone.set()

    def _run(self, work: Callable[[Sender], None], sender: Sender) -> None:
        with self._lock:
            self._active += 1
        try:
            work(sender)
            sender.end()
        except Gone:
            return
        except Exception as error:  # noqa: BLE001  (the answer has begun: what went wrong can only be told within it)
            if not isinstance(error, SutureError):
                _log.exception("a stream of events failed")
            known = error if isinstance(error, SutureError) else SutureError("a fault of Suture; its log says more")
            _told(sender, known)
        finally:
            with self._lock:
                self._active -= 1


def _told(sender: Sender, error: SutureError) -> None:
    try:
        sender.send("error", {"title": error.title, "status": error.status, "detail": str(error)})
        sender.end()
    except Gone:
        return


def _encoded(number: int, event: str, data: Any) -> bytes:
    # JSON has no raw line breaks, so one `data:` line holds it.
    text = data.model_dump_json(by_alias=True) if isinstance(data, BaseModel) else json.dumps(data)
    return f"id: {number}\nevent: {event}\ndata: {text}\n\n".encode()
