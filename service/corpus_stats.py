"""What the corpus holds: documents and passages by source and kind, the embedder, the size on disk, the last syncs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from models.domain.base import Frozen
from models.domain.runbook import Document, DocumentKind, ScoredPassage
from retrieval.chunks import passages_of
from runbooks.loader import Problem
from service.corpus_sources.documents import ORIGIN
from service.corpus_sources.source import CorpusSource, Outcome
from service.corpus_sources.store import SourceStore

FOLDERS = "(folders)"
"""Stands for the folders of the settings, which are no source that was added."""


class Share(Frozen):
    """The documents of one kind that one source gave."""

    source: str
    kind: DocumentKind
    documents: int
    with_actions: int
    passages: int


class SourceState(Frozen):
    """A source that was added, and its last sync; None where there was none yet."""

    source: CorpusSource
    last: Outcome | None
    withheld: int
    """Documents whose actions are not offered, since the source may not define any."""


class CorpusProblem(Frozen):
    """Why a file is not, or not wholly, part of the corpus, and what mends it."""

    file: str
    line: int
    message: str
    mend: str


class CorpusStats(Frozen):
    """All of the corpus in figures."""

    documents: int
    passages: int
    embedder: str
    """Which embedder makes its vectors."""
    bytes_on_disk: int
    """Of the index and of what sources gave, in the state folder."""
    shares: tuple[Share, ...]
    sources: tuple[SourceState, ...]
    problems: tuple[CorpusProblem, ...]


class FoundPassage(Frozen):
    """A passage that a search found, with its span in the document's text and the parts of its score."""

    document: str
    kind: DocumentKind
    title: str
    headings: tuple[str, ...]
    start: int
    end: int
    text: str
    score: float
    """z(BM25F) + z(cosine)."""
    lexical: float
    """BM25F."""
    dense: float
    """Cosine."""
    path: str | None
    """Of the document; None while it is being read anew."""
    url: str | None


def corpus_stats(
    documents: Sequence[Document],
    problems: Iterable[Problem],
    store: SourceStore,
    embedder: str,
    folders: Iterable[Path],
) -> CorpusStats:
    """The figures. `folders` are those whose size counts. Every document is cut anew."""
    count: Counter[tuple[str, DocumentKind]] = Counter()
    acting: Counter[tuple[str, DocumentKind]] = Counter()
    passages: Counter[tuple[str, DocumentKind]] = Counter()
    for document in documents:
        share = (origin_of(document).get("source") or FOLDERS, document.kind)
        count[share] += 1
        acting[share] += document.runbook is not None
        passages[share] += len(passages_of(document))
    shares = (
        Share(source=source, kind=kind, documents=count[source, kind], with_actions=acting[source, kind],
              passages=passages[source, kind])
        for source, kind in sorted(count)
    )  # fmt: skip
    return CorpusStats(
        documents=len(documents),
        passages=passages.total(),
        embedder=embedder,
        bytes_on_disk=sum(_size(folder) for folder in folders),
        shares=tuple(shares),
        sources=tuple(
            SourceState(source=source, last=last, withheld=store.withheld(source.name)) for source, last in store.all()
        ),
        problems=tuple(CorpusProblem(**asdict(problem)) for problem in problems),
    )


def found_passages(scored: Iterable[ScoredPassage], documents: Iterable[Document]) -> list[FoundPassage]:
    """Passages with where their documents came from."""
    known = {document.id: document for document in documents}
    found = []
    for each in scored:
        passage, document = each.passage, known.get(each.passage.document)
        found.append(
            FoundPassage(
                **passage.model_dump(), score=each.score, lexical=each.lexical, dense=each.dense,
                path=document.path if document else None, url=origin_of(document).get("url") if document else None,
            )
        )  # fmt: skip
    return found


def origin_of(document: Document) -> dict[str, str | None]:
    """Where a document of a source came from; empty for one of the settings' folders."""
    origin = document.metadata.get(ORIGIN)
    # Front matter of a file in a folder may hold the word too; ids of sources' documents cannot be told apart by it.
    return origin if isinstance(origin, dict) and {"source", "path", "ref", "url"} == origin.keys() else {}


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
