"""The documents of all sources, as the corpus takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.domain.runbook import Document
from runbooks.frontmatter import Fault
from runbooks.loader import Corpus, Problem, read_text
from service.corpus_sources.source import CorpusSource, Outcome, ids_of
from service.corpus_sources.store import Kept, SourceStore

ORIGIN = "origin"
"""The key of a document's metadata that says where it came from: `source`, `path`, `ref`, `url`."""


def read_sources(store: SourceStore) -> Corpus:
    """Documents and problems of all sources, in their order; a source that failed is a problem too."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for source, outcome in store.all():
        kept = list(store.pages(source.name))
        documents += _documents(source, outcome, kept)
        ref = outcome.ref if outcome else None
        problems += (_problem(source, ref, page.path, page.faults) for page in kept if page.faults)
        if outcome is not None and outcome.state == "failed":
            words = f"the last sync failed: {outcome.error}"
            problems.append(Problem(f"source {source.name}", 0, words, f"then run `suture corpus sync {source.name}`"))
    return Corpus(tuple(documents), tuple(problems))


def _documents(source: CorpusSource, outcome: Outcome | None, kept: list[Kept]) -> Iterator[Document]:
    ids = dict(ids_of(source.name, (page.path for page in kept)))
    ref = outcome.ref if outcome else None
    for page in kept:
        found = page.imported
        if found is None:
            continue
        origin = {"source": source.name, "path": page.path, "ref": ref, "url": source.link_to(page.path, ref)}
        document = Document(
            id=ids[page.path],
            kind=found.kind,
            title=found.title,
            text=found.text,
            body_start=found.body_start,
            path=source.place_of(page.path, ref),
            metadata=found.metadata | {ORIGIN: origin},
        )
        # Asked of the source too: what is kept must not make a source trusted.
        if found.catalogue and source.actions:
            runbook = read_text(found.text, Path(page.path), found.kind).document
            assert runbook is not None
            if runbook.runbook is not None:
                document = document.model_copy(update={"id": runbook.id, "runbook": runbook.runbook})
        yield document


def _problem(source: CorpusSource, ref: str | None, path: str, faults: tuple[Fault, ...]) -> Problem:
    first, more = faults[0], len(faults) - 1
    message = first.message + (f" (and {more} more)" if more else "")
    return Problem(source.place_of(path, ref), first.line, message, first.mend)
