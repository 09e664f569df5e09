"""Vectors in Chroma, in a folder or at a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from models.domain.errors import BadInput, Unavailable
from retrieval.vectors import Among, Entry, Vectors

PAGE = 2_000  # entries a call: Chroma refuses more than about 5,000


class ChromaStore:
    """One Chroma collection, as a `retrieval.vectors.VectorStore`."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def put(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Add the entries, or replace those with the same ids. `vectors` has a row an entry."""
        for first in range(0, len(entries), PAGE):
            page = entries[first : first + PAGE]
            with _chroma():
                self._collection.upsert(
                    ids=[entry.id for entry in page],
                    embeddings=vectors[first : first + PAGE],
                    documents=[entry.text for entry in page],
                    metadatas=[dict(entry.metadata) for entry in page],
                )

    def remove(self, ids: Iterable[str]) -> None:
        """Delete the entries with these ids; unknown ones are ignored."""
        gone = list(ids)
        for first in range(0, len(gone), PAGE):
            with _chroma():
                self._collection.delete(ids=gone[first : first + PAGE])

    def ids(self) -> set[str]:
        """The ids of all entries."""
        with _chroma():
            return set(self._collection.get(include=[])["ids"])

    def entries(self) -> Iterator[Entry]:
        """All entries, without their vectors."""
        with _chroma():
            count = self._collection.count()
        for first in range(0, count, PAGE):
            with _chroma():
                page = self._collection.get(include=["documents", "metadatas"], limit=PAGE, offset=first)
            for id_, text, metadata in zip(page["ids"], page["documents"], page["metadatas"], strict=True):
                yield Entry(id_, text, metadata)

    def nearest(self, vector: Vectors, count: int, among: Among) -> dict[str, float]:
        """The cosine similarity of the `count` entries nearest to `vector` (approximate in large collections)."""
        with _chroma():
            found = self._collection.query(
                query_embeddings=vector[np.newaxis],
                n_results=count,
                where=_where(among),
                include=["distances"],
            )
        return {id_: 1.0 - distance for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True)}

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those ids that exist."""
        found: dict[str, Vectors] = {}
        for first in range(0, len(ids), PAGE):
            with _chroma():
                page = self._collection.get(ids=list(ids[first : first + PAGE]), include=["embeddings"])
            found |= zip(page["ids"], np.asarray(page["embeddings"], np.float32), strict=True)
        return found


def _where(among: Among) -> dict[str, Any] | None:
    """Chroma's filter: it wants `$and` only where there are several conditions."""
    conditions: list[dict[str, Any]] = [{"kind": among.kind}] if among.kind else []
    if among.without:
        conditions.append({"document": {"$nin": sorted(among.without)}})
    return {"$and": conditions} if len(conditions) > 1 else next(iter(conditions), None)


@contextmanager
def _chroma() -> Iterator[None]:
    """Whatever Chroma raises becomes Unavailable: besides its own errors it passes on those of SQLite and of HTTP."""
    try:
        yield
    except Exception as error:
        raise Unavailable(f"the vector index fails: {error}") from error


def open_chroma(
    place: Path | str, identity: str, *, rebuild: bool
) -> tuple[ChromaStore, ChromaStore, Callable[[], None]]:
    """The collections of passages and of documents, and what closes them; see `retrieval.stores.open_stores`.

    `place` is a folder, or the URL of a server.
    """
    from chromadb.errors import ChromaError

    try:
        client = _client(place)
        passages, documents = (
            ChromaStore(_collection(client, f"suture-{part}", identity, str(place), rebuild=rebuild))
            for part in ("passages", "documents")
        )
    except (ChromaError, ValueError, OSError) as error:
        raise Unavailable(f"the index at {place} cannot be opened: {error}") from error
    return passages, documents, client.close


def _client(place: Path | str) -> Any:
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    if isinstance(place, Path):
        return chromadb.PersistentClient(place, settings=settings)
    parts = urlsplit(place)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{place!r} is not the URL of a Chroma server; write for example http://chroma:8000")
    tls = parts.scheme == "https"
    return chromadb.HttpClient(parts.hostname, parts.port or (443 if tls else 80), ssl=tls, settings=settings)


def _collection(client: Any, name: str, identity: str, where: str, *, rebuild: bool) -> Any:
    def opened() -> Any:
        # Without an embedding function of Chroma's: the default one downloads a model.
        return client.get_or_create_collection(
            name,
            embedding_function=None,
            metadata={"embedder": identity},
            configuration={"hnsw": {"space": "cosine", "ef_search": 300}},
        )

    collection = opened()
    made_by = (collection.metadata or {}).get("embedder")
    if made_by == identity and not rebuild:
        return collection
    if made_by != identity and collection.count() and not rebuild:
        raise BadInput(
            f"the index was made by the embedder {made_by} and the setting names {identity}: vectors of two embedders "
            "cannot be compared; set the former embedder, or rebuild the index",
            where=where,
        )
    client.delete_collection(name)
    return opened()
