"""An end to waiting for code that has promised to end by itself, and may not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from models.domain.errors import SutureError


class Overdue(SutureError):
    """A call did not return in its time. It is still going on: nobody can end a thread."""

    status = 504
    title = "overdue"


def call_within(seconds: float, words: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` returns or raises; Overdue, with `words` for what was waited for, after so many seconds."""
    answer: list[Any] = []
    error: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            answer.append(function(*arguments))
        except BaseException as raised:  # noqa: BLE001  (raised again where it was called)
            error.append(raised)
        ended.set()

    threading.Thread(target=run, name=words, daemon=True).start()
    if not ended.wait(seconds):
        raise Overdue(f"{words} did not end within {seconds:.0f} s")
    if error:
        raise error[0]
    return answer[0]
