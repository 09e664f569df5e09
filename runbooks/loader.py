"""Reads folders of Markdown into documents. A bad file costs itself alone, and its text stays searchable."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from models.domain.errors import BadInput
from models.domain.runbook import Document, DocumentKind, Runbook
from runbooks.frontmatter import MAX_BYTES as MAX_BYTES  # noqa: PLC0414  (of this page, for its readers)
from runbooks.frontmatter import Fault, FrontMatter, FrontMatterError, split
from runbooks.schema import is_catalogue, read_runbook

_TICK_NS = 2_000_000_000
"""Above the coarsest clock of a file system (FAT: 2 s)."""

POSTMORTEMS = "postmortems"
"""Documents in a folder of this name are postmortems."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, in words: `line` counts from 1 (0: a folder), `mend` says what to do."""

    file: str
    line: int
    message: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}; {self.mend}"


@dataclass(frozen=True)
class Corpus:
    """What could be read, in the order of the folders and then of the paths, and what could not."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]

    @cached_property
    def runbooks(self) -> tuple[Runbook, ...]:
        """The catalogues of the documents that have one."""
        return tuple(document.runbook for document in self.documents if document.runbook)


@dataclass(frozen=True)
class Reading:
    """One file as read: the document (None where there is no text), its front matter, and every fault."""

    document: Document | None
    front: FrontMatter | None
    faults: tuple[Fault, ...]


class Readings:
    """Reads files, and reads one again only where it changed: a corpus of a thousand postmortems takes seconds."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, DocumentKind], tuple[tuple[int, int, int], Reading]] = {}

    def read(self, path: Path, kind: DocumentKind = "runbook") -> Reading:
        """As `read_file`."""
        try:
            found = path.stat()
        except OSError:
            return read_file(path, kind)
        mark, known = (found.st_ino, found.st_size, found.st_mtime_ns), self._known.get((path, kind))
        if known is not None and known[0] == mark:
            return known[1]
        reading = read_file(path, kind)
        # What changed just now may change again within one tick of the file system's clock.
        if time.time_ns() - found.st_mtime_ns > _TICK_NS:
            self._known[path, kind] = (mark, reading)
        return reading


def load_corpus(folders: Sequence[Path], readings: Readings | None = None) -> Corpus:
    """Every `*.md` of the folders and below, hidden folders left out. A path may also be one file.

    Never raises for what a file holds: each bad file is one Problem. Ids are unique: the first file wins. `readings`
    keeps what was read for the next time.
    """
    read = readings.read if readings else read_file
    documents: dict[str, Document] = {}
    problems: list[Problem] = []
    for folder in folders:
        for path, fault in find_files(folder):
            if fault is not None:
                problems.append(_problem(path, (fault,)))
                continue
            reading = read(path, kind_of_place(folder, path))
            if reading.faults:
                problems.append(_problem(path, reading.faults, indexed=reading.document is not None))
            document = reading.document
            if document is None:
                continue
            if document.id in documents:
                problems.append(_repeated(path, reading, documents[document.id]))
            else:
                documents[document.id] = document
    return Corpus(tuple(documents.values()), tuple(problems))


def load_runbook(path: Path) -> Runbook:
    """The runbook in one file. Raises BadInput with file and line where it cannot be used or has no catalogue."""
    for file, fault in find_files(path):
        faults = (fault,) if fault else (reading := read_file(file)).faults
        if faults:
            raise BadInput(f"{faults[0].message}; {faults[0].mend}", where=f"{file}:{faults[0].line}")
        if reading.document and reading.document.runbook:
            return reading.document.runbook
    raise BadInput("the file has no front matter with an id and actions", where=f"{path}:1")


def find_files(folder: Path, suffixes: Sequence[str] = (".md",)) -> Iterator[tuple[Path, Fault | None]]:
    """The Markdown files of a folder (or the one file), sorted; with a fault where one may not or cannot be read.

    A fault of line 0 is one of a folder. `suffixes`, in lower case, are those of other files to find.
    """
    if folder.is_file():
        yield folder, None
        return
    if not folder.is_dir():
        yield folder, Fault(0, "the folder does not exist", "create it, or name another folder")
        return
    root = folder.resolve()
    closed: list[OSError] = []
    # Hidden folders stay out: a mounted ConfigMap keeps the real files in `..data` beside links to them.
    for place, subfolders, names in os.walk(folder, onerror=closed.append):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() not in suffixes or name.startswith("."):
                continue
            if _is_within(path, root):
                yield path, None
            else:
                yield path, Fault(1, "the link leads out of the folder", "copy the file into the folder")
    for error in closed:
        yield Path(error.filename), Fault(0, f"the folder cannot be read: {error.strerror}", "check its permissions")


def _is_within(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


def read_file(path: Path, kind: DocumentKind = "runbook") -> Reading:
    """One file. `kind` is what its place says; a `kind` in its front matter wins."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return Reading(None, None, (Fault(1, f"the file is larger than {MAX_BYTES} bytes", "split it"),))
        data = path.read_bytes()
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Reading(None, None, (Fault(line, f"byte {error.start} is not UTF-8", "save the file as UTF-8"),))
    except OSError as error:
        return Reading(None, None, (Fault(1, f"cannot be read: {error.strerror}", "check its permissions"),))
    return read_text(text, path, kind)


def read_text(text: str, path: Path, kind: DocumentKind = "runbook", *, catalogue: bool = True) -> Reading:
    """The same for a text that is already here; `path` names it. Without `catalogue`, actions in it are passed over."""
    try:
        front = split(text)
    except FrontMatterError as error:
        return Reading(_plain(text, path, kind, None), None, (error.fault,))
    if front is None:
        return Reading(_plain(text, path, kind, None), None, ())
    declared = front.values.get("kind", kind)
    if declared not in ("runbook", "postmortem"):
        fault = Fault(front.line(("kind",)), f"kind is {declared!r}", "write runbook or postmortem")
        return Reading(_plain(text, path, kind, front), front, (fault,))
    plain = _plain(text, path, declared, front)
    if not catalogue or declared == "postmortem" or not is_catalogue(front):
        return Reading(plain, front, ())
    runbook, faults = read_runbook(front)
    if runbook is None:
        return Reading(plain, front, faults)
    return Reading(plain.model_copy(update={"id": runbook.id, "title": runbook.title, "runbook": runbook}), front, ())


def _plain(text: str, path: Path, kind: DocumentKind, front: FrontMatter | None) -> Document:
    metadata: dict[str, Any] = front.values if front else {}
    body_start = front.body_start if front else 0
    identifier, title = metadata.get("id"), metadata.get("title")
    return Document(
        id=identifier if isinstance(identifier, str) and identifier else path.stem,
        kind=kind,
        title=title if isinstance(title, str) and title.strip() else _first_heading(text[body_start:]) or path.stem,
        text=text,
        body_start=body_start,
        path=str(path),
        metadata=metadata,
    )


def _first_heading(body: str) -> str | None:
    from markdown_it import MarkdownIt

    # Blocks only: inline rules take quadratic time on some texts, and a heading's text is wanted as it is.
    tokens = MarkdownIt().disable("inline").parse(body)
    return next((text.content for token, text in pairwise(tokens) if token.type == "heading_open"), None)


def kind_of_place(folder: Path, path: Path) -> DocumentKind:
    """What a file is by the folders from `folder` down that it stands in."""
    places = {folder.name, *path.relative_to(folder).parts[:-1]} if path != folder else {path.parent.name}
    return "postmortem" if POSTMORTEMS in places else "runbook"


def _problem(path: Path, faults: tuple[Fault, ...], *, indexed: bool = False) -> Problem:
    first, more = faults[0], len(faults) - 1
    message = first.message + (f" (and {more} more: `suture runbook lint` lists them)" if more else "")
    # Said so because the reader could otherwise think that the whole file is gone.
    mend = first.mend + (" (until then its text is searched, and its actions are not offered)" if indexed else "")
    return Problem(str(path), first.line, message, mend)


def _repeated(path: Path, reading: Reading, first: Document) -> Problem:
    assert reading.document is not None
    line = reading.front.line(("id",)) if reading.front else 1
    message = f"the id {reading.document.id!r} is taken by {first.path}"
    return Problem(str(path), line, message, "give it another id; until then the file is left out")
