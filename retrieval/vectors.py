"""Where vectors, texts and spans are kept: two Chroma collections, made by one embedder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import BadInput, Unavailable

Vectors = NDArray[np.float32]

PAGE = 2_000  # entries a call: Chroma refuses more than about 5,000


@dataclass(frozen=True)
class Entry:
    """What is kept beside a vector."""

    id: str
    text: str
    metadata: Mapping[str, Any]


class VectorStore:
    """One Chroma collection of unit vectors. Each method raises Unavailable where Chroma fails."""

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

    def nearest(self, vector: Vectors, count: int, where: Mapping[str, Any] | None) -> dict[str, float]:
        """The cosine similarity of the `count` entries nearest to `vector` (approximate in large collections)."""
        with _chroma():
            found = self._collection.query(
                query_embeddings=vector[np.newaxis],
                n_results=count,
                where=dict(where) if where else None,
                include=["distances"],
            )
        return {id_: 1.0 - distance for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True)}

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those ids that exist."""
        if not ids:
            return {}
        with _chroma():
            found = self._collection.get(ids=list(ids), include=["embeddings"])
        return dict(zip(found["ids"], np.asarray(found["embeddings"], np.float32), strict=True))

    def matrix(self, ids: Sequence[str]) -> Vectors:
        """The vectors of those ids that exist, in the order of `ids`, shape [rows, dimension]; [0, 0] for none."""
        found: dict[str, Vectors] = {}
        for first in range(0, len(ids), PAGE):
            found |= self.vectors(ids[first : first + PAGE])
        return np.stack([found[id_] for id_ in ids if id_ in found]) if found else np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Stores:
    """The two collections: passages, and documents with the vectors of their titles."""

    passages: VectorStore
    documents: VectorStore
    client: Any

    def close(self) -> None:
        """Give back files and connections. What is asked of the collections afterwards raises Unavailable."""
        self.client.close()


@contextmanager
def _chroma() -> Iterator[None]:
    """Whatever Chroma raises becomes Unavailable: besides its own errors it passes on those of SQLite and of HTTP."""
    try:
        yield
    except Exception as error:
        raise Unavailable(f"the vector index fails: {error}") from error


def open_stores(folder: Path | None, url: str | None, identity: str, *, rebuild: bool = False) -> Stores:
    """The collections in a folder, at a Chroma server, or in memory where both are None.

    `identity` is the embedder's. Raises BadInput where they were made by another embedder; `rebuild` empties them.
    Raises Unavailable where Chroma cannot be reached or opened.
    """
    from chromadb.errors import ChromaError

    where = url or str(folder or "memory")
    try:
        client = _client(folder, url)
        suffix = "" if folder or url else f"-{uuid4().hex}"  # Chroma shares one memory among all of a process
        passages, documents = (
            VectorStore(_collection(client, f"suture-{part}{suffix}", identity, where, rebuild=rebuild))
            for part in ("passages", "documents")
        )
    except (ChromaError, ValueError, OSError) as error:
        raise Unavailable(f"the index at {where} cannot be opened: {error}") from error
    return Stores(passages, documents, client)


def _client(folder: Path | None, url: str | None) -> Any:
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    if url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url!r} is not the URL of a Chroma server; write for example http://chroma:8000")
        tls = parts.scheme == "https"
        return chromadb.HttpClient(parts.hostname, parts.port or (443 if tls else 80), ssl=tls, settings=settings)
    if folder:
        return chromadb.PersistentClient(folder, settings=settings)
    return chromadb.EphemeralClient(settings=settings)


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
