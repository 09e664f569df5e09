"""The passage index: documents in, ranked passages and documents out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from models.domain.base import Frozen
from models.domain.errors import BadInput
from models.domain.runbook import Document, DocumentKind, ScoredPassage
from retrieval.chunks import passages_of
from retrieval.embedding import Embedder
from retrieval.locking import Generation, folder_lock
from retrieval.scoring import Query, ScoredDocument
from retrieval.snapshot import (
    Record,
    Snapshot,
    content_hash,
    embedded_text,
    embedded_title,
    load_snapshot,
    passage_entry,
    record_entry,
)
from retrieval.vectors import Vectors, open_stores

T = TypeVar("T")


class SyncReport(Frozen):
    """What a sync did, in documents."""

    added: int
    changed: int
    removed: int
    unchanged: int


class PassageIndex:
    """Passages of a corpus in Chroma, searched by vectors and by words.

    Threads: any number may search while one syncs; a search sees the index as it was before or after, never between.

    Processes: one folder may be opened by several. A lock file lets one of them write at a time; a search first looks
    whether another process has changed the folder, and then reads it anew. At a Chroma server there is no such
    mark: let one process sync, and call `reload` in the others.
    """

    def __init__(
        self, folder: Path | None, embedder: Embedder, *, url: str | None = None, rebuild: bool = False
    ) -> None:
        """Opens the index in `folder`, at the Chroma server `url`, or in memory where both are None.

        Raises BadInput where another embedder made it (with `rebuild` it is emptied instead, and the next sync
        fills it), Unavailable where it cannot be opened. The embedder is not asked for anything yet.
        """
        self._folder, self._url = folder, url
        self._embedder = embedder
        self._writing = threading.Lock()
        self._generation = Generation(folder)
        with folder_lock(folder, exclusive=True):
            self._stores = open_stores(folder, url, embedder.identity, rebuild=rebuild)
            self._mark = self._generation.advance() if rebuild else self._generation.read()
            self._snapshot = load_snapshot(self._stores)

    def sync(self, documents: Iterable[Document]) -> SyncReport:
        """Make the index hold exactly these documents. Only new and changed ones are cut and embedded.

        Everything that can fail slowly comes before the first write; an error leaves the former state serving, and
        the next sync starts from it. Raises BadInput where two documents have one id or the embedder's vectors
        changed their size, and what the embedder raises.
        """
        wanted = _by_id(documents)
        with self._writing, folder_lock(self._folder, exclusive=True):
            self._refresh()
            before = self._snapshot
            hashes = {id_: content_hash(document) for id_, document in wanted.items()}
            fresh = {id_: hash_ for id_, hash_ in hashes.items() if not _holds(before, wanted[id_], hash_)}
            gone = before.record_rows.keys() - wanted.keys()
            if fresh or gone:
                self._write([wanted[id_] for id_ in fresh], fresh, gone)
            known = fresh.keys() & before.record_rows.keys()
            return SyncReport(
                added=len(fresh) - len(known),
                changed=len(known),
                removed=len(gone),
                unchanged=len(wanted) - len(fresh),
            )

    def search(
        self, query: str, k: int = 10, *, kind: DocumentKind | None = None, exclude: Collection[str] = ()
    ) -> list[ScoredPassage]:
        """The `k` best passages, best first: z(BM25F) + z(cosine), see `retrieval.fusion`.

        `kind` keeps one kind of document, `exclude` leaves documents out by their ids. An empty query or an empty index
        gives none.
        """
        return self._ask(query, lambda asked: asked.passages(k), kind, exclude)

    def documents(
        self, query: str, k: int = 10, *, kind: DocumentKind | None = None, exclude: Collection[str] = ()
    ) -> list[ScoredDocument]:
        """The `k` best documents, best first: z(BM25F of the whole) + half of z(nearest passage) + z(title).

        Takes `kind` and `exclude` as `search` does.
        """
        return self._ask(query, lambda asked: asked.documents(k), kind, exclude)

    def reload(self) -> None:
        """Read the collections anew, for a Chroma server that another process has changed."""
        with self._writing, folder_lock(self._folder, exclusive=False):
            self._mark = self._generation.read()
            self._snapshot = load_snapshot(self._stores)

    def __len__(self) -> int:
        return len(self._snapshot.passages)

    def _ask(
        self, text: str, answer: Callable[[Query], list[T]], kind: DocumentKind | None, exclude: Collection[str]
    ) -> list[T]:
        if self._generation.read() != self._mark:
            with self._writing, folder_lock(self._folder, exclusive=False):
                self._refresh()
        if not text.strip() or not self._snapshot.records:
            return []
        vector = self._embedder.embed([text])[0]
        while True:
            snapshot = self._snapshot
            self._check_size(vector)
            found = answer(Query(text, vector, snapshot, self._stores, kind=kind, exclude=exclude))
            # A sync that ended meanwhile may have taken passages away from under this search.
            if snapshot is self._snapshot:
                return found

    def _refresh(self) -> None:
        """Take over what another process wrote. The caller holds both locks."""
        mark = self._generation.read()
        if mark != self._mark:
            self._stores = open_stores(self._folder, self._url, self._embedder.identity)
            self._snapshot = load_snapshot(self._stores)
            self._mark = mark

    def _write(self, documents: list[Document], hashes: Mapping[str, str], gone: Collection[str]) -> None:
        passages = [passages_of(document) for document in documents]
        texts = [embedded_text(passage) for own in passages for passage in own]
        titles = [embedded_title(document.title) for document in documents]
        vectors = self._embedder.embed([*texts, *titles])
        if len(vectors):
            self._check_size(vectors[0])
        records = [
            Record(document.id, document.kind, document.title, hashes[document.id], len(own))
            for document, own in zip(documents, passages, strict=True)
        ]
        entries = [
            passage_entry(passage, number, record.hash)
            for record, own in zip(records, passages, strict=True)
            for number, passage in enumerate(own)
        ]
        self._stores.passages.put(entries, vectors[: len(entries)])
        # From here on the new state counts: a record names the hash whose passages are served.
        self._stores.documents.put([record_entry(record) for record in records], vectors[len(entries) :])
        self._stores.documents.remove(gone)
        self._snapshot = load_snapshot(self._stores)
        self._mark = self._generation.advance()
        self._stores.passages.remove(self._stores.passages.ids() - self._snapshot.rows.keys())

    def _check_size(self, vector: Vectors) -> None:
        kept = self._snapshot.sample.dimension
        if kept and kept != len(vector):
            raise BadInput(
                f"the index holds vectors of {kept} numbers and the embedder {self._embedder.identity} now "
                f"gives {len(vector)}: rebuild the index",
                where=str(self._folder or self._url or "memory"),
            )


def _by_id(documents: Iterable[Document]) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for document in documents:
        other = found.setdefault(document.id, document)
        if other is not document:
            raise BadInput(
                f"the id {document.id!r} is taken by {other.path}; give one of them another", where=document.path
            )
    return found


def _holds(snapshot: Snapshot, document: Document, hash_: str) -> bool:
    """Whether the snapshot has this very text, its spans checked against it."""
    row = snapshot.record_rows.get(document.id)
    if row is None or snapshot.records[row].hash != hash_:
        return False
    return all(document.text[p.start : p.end] == p.text for p in snapshot.of_document(document.id))
