"""What readers give: pages, one at a time, and the limits that keep a hostile or broken source from doing harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from runbooks.frontmatter import MAX_BYTES, Fault

MARKDOWN = (".md",)
HTML = (".html", ".htm")

MAX_PAGE = {True: 2_000_000, False: MAX_BYTES}
"""Bytes of a page, by whether it is HTML: the parser needs about 2 s and 100 MB for 2 MB."""
MAX_PAGES = 100_000
MAX_TOTAL = 2_000_000_000
"""Bytes that are read of one archive, unpacked: 20,000 pages of 100 kB."""


class PageFault(Exception):
    """A page that cannot be read; the others can."""

    def __init__(self, line: int, message: str, mend: str) -> None:
        super().__init__(message)
        self.fault = Fault(line, message, mend)


@dataclass(frozen=True)
class Page:
    """One page of a source. `path` is relative to the source, with slashes.

    `mark` changes whenever the content does, where that is known without reading it. `read` gives the bytes, and
    raises PageFault.
    """

    path: str
    read: Callable[[], bytes]
    mark: str | None = None


@dataclass(frozen=True)
class Found:
    """What a source has now. `stamp` is the same as long as nothing in it has changed, None where that is not known
    before reading; `pages` is then not asked for.
    """

    pages: Iterator[Page]
    ref: str | None = None
    stamp: str | None = None


Opened: TypeAlias = AbstractContextManager[Found]


def too_large(limit: int) -> PageFault:
    """The fault of a page above the limit."""
    return PageFault(1, f"the page is larger than {limit} bytes", "split it")


def unreadable(error: OSError) -> PageFault:
    """The fault of a page that the system does not give."""
    return PageFault(1, f"cannot be read: {error.strerror}", "check its permissions")
