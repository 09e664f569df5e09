"""The passage index: documents in, ranked passages and documents out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, Unpack

from models.domain.base import Frozen
from models.domain.errors import BadInput, Unavailable
from models.domain.runbook import Document, ScoredPassage
from retrieval.alike import AlikeDocument, alike
from retrieval.chunks import passages_of
from retrieval.embedding import Embedder
from retrieval.facts import Filter, Wanted
from retrieval.locking import Generation, folder_lock
from retrieval.query import MAX_QUERY
from retrieval.records import (
    content_hash,
    embedded_text,
    embedded_title,
    passage_entry,
    record_entry,
    record_for,
)
from retrieval.scoring import Query, ScoredDocument
from retrieval.signature import Moves
from retrieval.snapshot import Snapshot, load_snapshot
from retrieval.stores import Stores, open_stores
from retrieval.vectors import Vectors

T = TypeVar("T")


class SyncReport(Frozen):
    """What a sync did, in documents."""

    added: int
    changed: int
    removed: int
    unchanged: int


@dataclass(frozen=True)
class _State:
    """What is served: replaced as a whole."""

    stores: Stores
    snapshot: Snapshot
    mark: str
    """The folder's generation that the snapshot was read at."""


class PassageIndex:
    """Passages of a corpus in Chroma, searched by vectors and by words.

    Threads: any number may search while one syncs; a search sees the index as it was before or after, never between.

    Processes: one folder may be opened by several, once in each. A lock file lets one of them write at a time; a
    search first looks whether another process has changed the folder, and then opens it anew. At a Chroma server
    there is no such mark: let one process sync, and call `reload` in the others.
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
            stores = open_stores(folder, url, embedder.identity, rebuild=rebuild)
            mark = self._generation.advance() if rebuild else self._generation.read()
            self._state = _State(stores, load_snapshot(stores), mark)
            self._last: Query | None = None

    def sync(self, documents: Iterable[Document]) -> SyncReport:
        """Make the index hold exactly these documents. Only new and changed ones are cut and embedded.

        Everything that can fail slowly comes before the first write; an error leaves the former state serving, and
        the next sync starts from it. Raises BadInput where two documents have one id or the embedder's vectors
        changed their size, and what the embedder raises.
        """
        wanted = _by_id(documents)
        with self._writing, folder_lock(self._folder, exclusive=True):
            self._catch_up()
            before = self._state.snapshot
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

    def search(self, query: str, k: int = 10, **among: Unpack[Wanted]) -> list[ScoredPassage]:
        """The `k` best passages, best first: z(BM25F) + z(cosine), see `retrieval.fusion`.

        `among` says which documents it is about: `kind`, `exclude` (ids), `service`, `environment`, `since`; see
        `retrieval.facts.Filter`. An empty query or an empty index gives none.
        """
        return self._ask(query, lambda asked: asked.passages(k, Filter(**among)))

    def documents(self, query: str, k: int = 10, **among: Unpack[Wanted]) -> list[ScoredDocument]:
        """The `k` best documents, best first: as the first stage found them, the first anew by `retrieval.rerank`.

        Takes `among` as `search` does.
        """
        return self._ask(query, lambda asked: asked.documents(k, Filter(**among)))

    def alike(self, moves: Moves, k: int = 3, **among: Unpack[Wanted]) -> list[AlikeDocument]:
        """The `k` postmortems whose metrics moved most alike, best first; those that share no move are left out.

        `moves` are an incident's, see `retrieval.signature.signature_of`; no word and no vector is compared.
        """
        while True:
            self._follow()
            state = self._state
            found = alike(moves, state.snapshot, k, Filter(**among))
            if self._is_current(state):
                return found

    def reload(self) -> None:
        """Read the collections anew, for a Chroma server that another process has changed."""
        with self._writing, folder_lock(self._folder, exclusive=False):
            stores = self._state.stores
            self._state = _State(stores, load_snapshot(stores), self._generation.read())

    def close(self) -> None:
        """Give back files and connections; the index cannot be used afterwards."""
        with self._writing:
            self._state.stores.close()

    def __len__(self) -> int:
        """How many passages it holds."""
        return len(self._state.snapshot.passages)

    def _ask(self, text: str, answer: Callable[[Query], list[T]]) -> list[T]:
        text = text[:MAX_QUERY]
        if not text.strip():
            return []
        while True:
            self._follow()
            state = self._state
            if not state.snapshot.records:
                return []
            try:
                found = answer(self._query(text, state))
            except Unavailable:
                if self._is_current(state):
                    raise
                continue
            # A sync that ended meanwhile may have taken passages away from under this search: then ask again.
            if self._is_current(state):
                return found

    def _query(self, text: str, state: _State) -> Query:
        """The query as it was asked last, where it is the same: an incident asks for runbooks, then for postmortems."""
        last = self._last
        if last is not None and last.text == text and last.snapshot is state.snapshot:
            return last
        vector = self._embedder.embed([text])[0]
        self._check_size(vector)
        self._last = query = Query(text, vector, state.snapshot, state.stores)
        return query

    def _is_current(self, state: _State) -> bool:
        return state is self._state and state.mark == self._generation.read()

    def _follow(self) -> None:
        if self._generation.read() != self._state.mark:
            with self._writing, folder_lock(self._folder, exclusive=False):
                self._catch_up()

    def _catch_up(self) -> None:
        """Take over what another process wrote. The caller holds both locks."""
        mark = self._generation.read()
        if mark == self._state.mark:
            return
        # A client that stays open would answer from its own memory of the vectors, which no longer holds.
        self._state.stores.close()
        stores = open_stores(self._folder, self._url, self._embedder.identity)
        self._state = _State(stores, load_snapshot(stores, self._state.snapshot), mark)

    def _write(self, documents: list[Document], hashes: Mapping[str, str], gone: Collection[str]) -> None:
        passages = [passages_of(document) for document in documents]
        texts = [embedded_text(passage) for own in passages for passage in own]
        titles = [embedded_title(document.title) for document in documents]
        vectors = self._embedder.embed([*texts, *titles])
        if len(vectors):
            self._check_size(vectors[0])
        records = [
            record_for(document, hashes[document.id], len(own))
            for document, own in zip(documents, passages, strict=True)
        ]
        entries = [
            passage_entry(passage, number, record.hash)
            for record, own in zip(records, passages, strict=True)
            for number, passage in enumerate(own)
        ]
        stores = self._state.stores
        stores.passages.put(entries, vectors[: len(entries)])
        # From here on the new state counts: a record names the hash whose passages are served.
        stores.documents.put([record_entry(record) for record in records], vectors[len(entries) :])
        stores.documents.remove(gone)
        self._state = _State(stores, load_snapshot(stores, self._state.snapshot), self._generation.advance())
        self._last = None  # else it would keep the former snapshot
        stores.passages.remove(stores.passages.ids() - self._state.snapshot.rows.keys())

    def _check_size(self, vector: Vectors) -> None:
        kept = self._state.snapshot.sample.dimension
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
