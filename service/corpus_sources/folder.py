"""Pages in a folder, or one page that is a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runbooks.frontmatter import Fault
from runbooks.loader import find_files
from service.corpus_sources.pages import Found, Page, PageFault, too_large, unreadable
from service.corpus_sources.source import SourceFailed


@contextmanager
def open_folder(place: Path, suffixes: Sequence[str], limit: int) -> Iterator[Found]:
    """The pages in a folder and below, hidden folders left out. Raises SourceFailed where there is no such folder."""
    if not place.exists():
        raise SourceFailed(f"{place} does not exist; mount or restore it, or remove the source")
    yield Found(_pages(place, suffixes, limit))


def _pages(place: Path, suffixes: Sequence[str], limit: int) -> Iterator[Page]:
    for file, fault in find_files(place, suffixes):
        if fault is not None and fault.line == 0:
            raise SourceFailed(f"{file}: {fault.message}; {fault.mend}")
        path = file.relative_to(place).as_posix() if file != place else file.name
        shown = path.encode("utf-8", "replace").decode()
        refused = fault if shown == path else Fault(1, "its name is not UTF-8", "rename it")
        # What stands outside is never read: a link may lead to any file of the machine.
        yield Page(shown, _refusing(refused) if refused else _reading(file, limit))


def _refusing(fault: Fault) -> Callable[[], bytes]:
    def read() -> bytes:
        raise PageFault(fault.line, fault.message, fault.mend)

    return read


def _reading(file: Path, limit: int) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with file.open("rb") as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            raise unreadable(error) from error
        if len(data) > limit:
            raise too_large(limit)
        return data

    return read
