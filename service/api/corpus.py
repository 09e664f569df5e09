"""The corpus in figures, its sources brought up to date, and its passages searched."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import Query
from pydantic import Field

from models.domain.base import Frozen
from models.domain.errors import Conflict
from models.domain.runbook import DocumentKind
from service.api import corpus_examples as examples
from service.api.dependencies import PLAIN, PartsOf, answers, resource
from service.corpus import embedder_of, source_store
from service.corpus_sources.source import Outcome
from service.corpus_sources.syncing import sync_sources
from service.corpus_stats import CorpusStats, FoundPassage, corpus_stats, found_passages
from service.security.auth import ADMIN, VIEWER

router = resource("runbooks")

_syncing = threading.Lock()
"""One sync at a time: each may take minutes, and those that wait would take the threads that answer."""

_Source = Annotated[str, Field(min_length=1, max_length=40, pattern=PLAIN)]


class SyncView(Frozen):
    """What became of each source, in their order."""

    sources: tuple[Outcome, ...]


class SearchView(Frozen):
    """Passages, best first."""

    items: tuple[FoundPassage, ...]


@router.get(
    "/v1/corpus",
    summary="The corpus in figures",
    responses=answers(examples.CORPUS_STATS),
    dependencies=[VIEWER],
)
def get_corpus(parts: PartsOf) -> CorpusStats:
    """Documents and passages by source and kind, the embedder, the size on disk, the last syncs, what is wrong."""
    store = source_store(parts.settings)
    folders = (parts.settings.state_dir / "index", store.folder)
    embedder = embedder_of(parts.settings, parts.clock).identity
    return corpus_stats(parts.corpus.documents(), parts.corpus.problems(), store, embedder, folders)


@router.post(
    "/v1/corpus/sync",
    summary="Read the sources anew",
    responses=answers(examples.CORPUS_SYNC, 404, 409),
    dependencies=[ADMIN],
)
def sync_corpus(parts: PartsOf, source: Annotated[list[_Source] | None, Query()] = None) -> SyncView:
    """All, or those that `source` names (repeat it). The answer comes when it is done, which may take minutes.

    A source that failed says why in `error`; what it gave before serves on. 409 while a sync is under way.
    """
    if not _syncing.acquire(blocking=False):
        raise Conflict("a sync is under way; GET /v1/corpus shows its outcome when it is done")
    try:
        outcomes = sync_sources(source_store(parts.settings), parts.clock, source or ())
        parts.corpus.refresh()
    finally:
        _syncing.release()
    return SyncView(sources=tuple(outcomes))


@router.get(
    "/v1/corpus/search",
    summary="Search passages",
    responses=answers({"items": [examples.FOUND_PASSAGE]}),
    dependencies=[VIEWER],
)
def search_corpus(
    parts: PartsOf,
    q: Annotated[str, Query(min_length=1, max_length=10_000)],
    kind: DocumentKind | None = None,
    k: Annotated[int, Query(ge=1, le=100)] = 10,
) -> SearchView:
    """Those that fit `q` best, each with its span in the document's text and the parts of its score."""
    found = parts.index.search(q, k, kind=kind)
    return SearchView(items=tuple(found_passages(found, parts.corpus.documents())))
