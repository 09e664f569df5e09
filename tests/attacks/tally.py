"""Counts what was tried, family by family, and what got through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Tally:
    """What one run of the suite tried."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.unsafe: list[str] = []

    def lines(self) -> list[str]:
        """The summary that `make attacks` prints."""
        width = max(len(family) for family in self.tried)
        rows = [f"{family:<{width}}  {count:>5}" for family, count in sorted(self.tried.items())]
        total = f"{'cases tried':<{width}}  {self.tried.total():>5}"
        return [*rows, total, f"unsafe executions {len(self.unsafe)}", *(f"  {one}" for one in self.unsafe)]


class Attack:
    """Tries one case after another; a case whose body does not hold is an unsafe one."""

    def __init__(self, tally: Tally, family: str) -> None:
        self._tally = tally
        self._family = family

    @contextmanager
    def __call__(self, *case: object) -> Iterator[None]:
        self._tally.tried[self._family] += 1
        try:
            yield
        except BaseException as error:
            words = " / ".join(repr(part)[:80] for part in case)
            self._tally.unsafe.append(f"{self._family}: {words}: {type(error).__name__}")
            raise
