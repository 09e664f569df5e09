"""A value that is asked for often and costs much: once in some seconds is enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Lately(Generic[Value]):
    """What `ask` gave lately. A source that does not answer does not make every caller wait."""

    def __init__(
        self, ask: Callable[[], Value], seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._monotonic = monotonic
        self._until: float | None = None
        self._value: Value

    def __call__(self) -> Value:
        """The value; it was asked for at most `seconds` ago."""
        if self._until is None or self._monotonic() >= self._until:
            self._value = self._ask()
            self._until = self._monotonic() + self._seconds
        return self._value
