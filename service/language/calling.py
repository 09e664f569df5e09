"""One call of a chat model within one time limit: retried where that helps, ended when nobody waits any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from models.domain.base import format_duration
from models.domain.errors import Unavailable
from models.language.parse import MAX_ANSWER
from models.language.transport import Heard, Question

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

_TICK = 1.0
"""Seconds after which who listens is asked whether it still does."""
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
"""Seconds before a retry: drawn at random below a bound that doubles, so that replicas do not come back together."""


class Failed(Exception):
    """The provider's client failed; `cause` says how. Its words may hold the key."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(type(cause).__name__)
        self.cause = cause


def call(
    chain: Runnable[Question, AIMessage],
    question: Question,
    *,
    timeout: timedelta,
    retries: int,
    name: str,
    heard: Heard | None,
) -> AIMessage:
    """The model's message. Raises Unavailable at the time limit, Failed where the provider's client fails.

    With `heard` the answer is streamed to it, in the caller's thread; what it raises ends the call.
    """
    pieces: SimpleQueue[Any] = SimpleQueue()
    given_up = threading.Event()
    # A thread, because a client's own timeout counts from byte to byte: a server that drips never reaches it.
    # A daemon, so that a call that is given up cannot hold the process.
    arguments = (chain, question, retries, heard is not None, pieces, given_up)
    threading.Thread(target=_work, args=arguments, name="language-model", daemon=True).start()
    ends = time.monotonic() + timeout.total_seconds()
    try:
        while True:
            got = _next(pieces, ends, heard)
            if got is None:
                raise Unavailable(f"{name} gave no answer within {format_duration(timeout)}")
            if isinstance(got, Unavailable):
                raise got
            if isinstance(got, Exception):
                raise Failed(got)
            if not isinstance(got, str):
                return got  # type: ignore[no-any-return]
            if heard:
                heard(got)
    finally:
        given_up.set()


def _next(pieces: SimpleQueue[Any], ends: float, heard: Heard | None) -> Any:
    """The next piece, the message or the error; None at the end of the time."""
    while (left := ends - time.monotonic()) > 0:
        try:
            return pieces.get(timeout=min(left, _TICK) if heard else left)
        except Empty:
            if heard:
                heard("")
    return None


def _work(
    chain: Runnable[Question, AIMessage],
    question: Question,
    retries: int,
    streamed: bool,
    pieces: SimpleQueue[Any],
    given_up: threading.Event,
) -> None:
    from tenacity import (
        Retrying,
        retry_if_exception,
        sleep_using_event,
        stop_after_attempt,
        stop_any,
        stop_when_event_set,
        wait_random_exponential,
    )

    said = 0

    def attempt() -> AIMessage:
        nonlocal said
        if not streamed:
            return chain.invoke(question)
        whole: Any = None
        for piece in chain.stream(question):
            if given_up.is_set():
                raise Unavailable("given up")
            whole = piece if whole is None else whole + piece
            said += len(piece.text)
            if said > MAX_ANSWER:
                raise Unavailable(f"the answer has more than {MAX_ANSWER} characters")
            if piece.text:
                pieces.put(str(piece.text))
        if whole is None:
            raise Unavailable("the answer is empty")
        return whole  # type: ignore[no-any-return]

    retrying = Retrying(
        # What was heard cannot be unheard: a second answer would continue the first.
        retry=retry_if_exception(lambda error: not said and passing(error)),
        stop=stop_any(stop_after_attempt(1 + retries), stop_when_event_set(given_up)),
        wait=wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
        sleep=sleep_using_event(given_up),
        reraise=True,
        before=_unless(given_up),
    )
    try:
        pieces.put(retrying(attempt))
    except Exception as error:  # noqa: BLE001  (crosses to the caller's thread, which raises it)
        pieces.put(error)


def _unless(given_up: threading.Event) -> Callable[[Any], None]:
    """No attempt begins once nobody waits for it."""

    def check(_: Any) -> None:
        if given_up.is_set():
            raise Unavailable("given up")

    return check


def passing(error: BaseException) -> bool:
    """Whether the same call may succeed soon: the server was not reached, hung up, or asked to come back later.

    Never after a timeout: the first request may still run, and is paid for.
    """
    import httpx
    from litellm.exceptions import RateLimitError, ServiceUnavailableError

    lost = (httpx.NetworkError, httpx.RemoteProtocolError)
    return isinstance(error, RateLimitError | ServiceUnavailableError) or _stems_from(error, lost)


def may_be_charged(error: BaseException) -> bool:
    """Whether the provider may have worked on it all the same: it timed out, or was lost after it was sent."""
    import httpx
    from litellm.exceptions import Timeout

    lost = (httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError)
    return isinstance(error, Timeout) or _stems_from(error, lost)


def _stems_from(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> bool:
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__ or error.__context__
    return False
