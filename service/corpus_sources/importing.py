"""Pages into documents: Markdown as it is, HTML converted. Only a trusted source's Markdown may define actions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from models.domain.runbook import DocumentKind
from runbooks.frontmatter import Fault
from runbooks.loader import POSTMORTEMS, read_text
from runbooks.schema import is_catalogue
from service.corpus_sources.converter import Converter
from service.corpus_sources.html import VERSION as HTML_VERSION
from service.corpus_sources.pages import PageFault
from service.corpus_sources.source import CorpusSource

VERSION = f"1.{HTML_VERSION}"
"""Raise it when the same page would give another document: all pages are then read again."""


@dataclass(frozen=True)
class Imported:
    """A document of a source as it is kept, without what depends on the source's other documents: its id."""

    text: str
    title: str
    kind: DocumentKind
    body_start: int
    metadata: dict[str, Any]
    catalogue: bool
    """It defines actions, and its source may."""
    withheld: bool
    """It defines actions, and its source may not."""
    faults: tuple[Fault, ...]


def import_page(source: CorpusSource, path: str, data: bytes, converter: Converter) -> Imported:
    """The document of one page. Raises PageFault where there is none."""
    if source.kind == "confluence" or source.kind == "html":  # noqa: PLR1714  (it narrows the type)
        title, text = converter.convert(data, source.kind)
        return Imported(
            text, title or PurePosixPath(path).stem, kind_of(source, path), body_start=0, metadata={},
            catalogue=False, withheld=False, faults=(),
        )  # fmt: skip
    reading = read_text(_decoded(data), Path(path), kind_of(source, path), catalogue=source.actions)
    document = reading.document
    assert document is not None  # a text always gives one
    return Imported(
        text=document.text,
        title=document.title,
        kind=document.kind,
        body_start=document.body_start,
        metadata=document.metadata,
        catalogue=document.runbook is not None,
        withheld=not source.actions and reading.front is not None and is_catalogue(reading.front),
        faults=reading.faults,
    )


def kind_of(source: CorpusSource, path: str) -> DocumentKind:
    """What a page is by its place."""
    return "postmortem" if POSTMORTEMS in PurePosixPath(path).parts[:-1] else source.documents


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PageFault(line, f"byte {error.start} is not UTF-8", "save the file as UTF-8") from error
