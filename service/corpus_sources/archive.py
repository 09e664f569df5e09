"""Pages in a zip archive. Nothing of it is unpacked to disk, and no page beyond its limit."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from service.corpus_sources.pages import MAX_PAGES, MAX_TOTAL, Found, Page, PageFault, too_large
from service.corpus_sources.source import SourceFailed

_AGAIN = "export it again"


@contextmanager
def open_archive(place: Path, suffixes: Sequence[str], limit: int) -> Iterator[Found]:
    """The pages in an archive. Raises SourceFailed, also while they are read, where it is broken or too large."""
    try:
        with zipfile.ZipFile(place) as archive:
            found = [
                info
                for info in archive.infolist()
                if not info.is_dir() and info.filename.lower().endswith(tuple(suffixes))
            ]
            if len(found) > MAX_PAGES:
                raise SourceFailed(f"{place} has {len(found)} pages, more than {MAX_PAGES}; export it in parts")
            yield Found(_pages(archive, found, place, limit))
    except zipfile.BadZipFile as error:
        raise SourceFailed(f"{place} is no zip archive, or a broken one: {error}; {_AGAIN}") from error
    except OSError as error:
        raise SourceFailed(f"{place} cannot be read: {error.strerror or error}; check its permissions") from error


def _pages(archive: zipfile.ZipFile, found: Sequence[zipfile.ZipInfo], place: Path, limit: int) -> Iterator[Page]:
    budget = _Budget(place)
    for info in sorted(found, key=lambda info: info.filename):
        path = PurePosixPath(info.filename)
        if any(part.startswith(".") and part != ".." for part in path.parts) or path.parts[0] == "__MACOSX":
            continue
        yield Page(info.filename, _reading(archive, info, limit, budget, place))


class _Budget:
    """What may still be unpacked of an archive."""

    def __init__(self, place: Path) -> None:
        self._place, self._left = place, MAX_TOTAL

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise SourceFailed(f"{self._place} unpacks to more than {MAX_TOTAL} bytes of pages; export it in parts")


def _reading(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, budget: _Budget, place: Path
) -> Callable[[], bytes]:
    def read() -> bytes:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename or ":" in path.parts[0]:
            raise PageFault(1, "its name leads out of the archive", _AGAIN)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise PageFault(1, "it is a link, which is not followed", "put the page itself into the archive")
        if info.flag_bits & 0x1:
            raise PageFault(1, "it is encrypted", "export it without a password")
        try:
            with archive.open(info) as stream:
                # Not by the size that the archive declares: that may be a lie.
                data = stream.read(limit + 1)
        except (zlib.error, EOFError, NotImplementedError) as error:
            raise SourceFailed(f"{place} is broken at {info.filename}: {error}; {_AGAIN}") from error
        budget.spend(len(data))
        if len(data) > limit:
            raise too_large(limit)
        return data

    return read
