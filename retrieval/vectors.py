"""What keeps vectors, texts and spans: two collections, made by one embedder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.domain.runbook import DocumentKind

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """What is kept beside a vector."""

    id: str
    text: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Among:
    """Which entries a search is about, by their metadata `kind` and `document`; all by default."""

    kind: DocumentKind | None = None
    without: frozenset[str] = frozenset()
    """Ids of documents that are left out."""


class VectorStore(Protocol):
    """One collection of unit vectors. Each method raises Unavailable where the store fails."""

    def put(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Add the entries, or replace those with the same ids. `vectors` has a row an entry."""

    def remove(self, ids: Iterable[str]) -> None:
        """Delete the entries with these ids; unknown ones are ignored."""

    def ids(self) -> set[str]:
        """The ids of all entries."""

    def entries(self) -> Iterator[Entry]:
        """All entries, without their vectors."""

    def nearest(self, vector: Vectors, count: int, among: Among) -> dict[str, float]:
        """The cosine similarity of the `count` entries nearest to `vector` (approximate in large collections)."""

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those ids that exist."""


def matrix(store: VectorStore, ids: Sequence[str]) -> Vectors:
    """The vectors of those ids that exist, in the order of `ids`, shape [rows, dimension]; [0, 0] for none."""
    found = store.vectors(ids)
    return np.stack([found[id_] for id_ in ids if id_ in found]) if found else np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Stores:
    """The two collections: passages, and documents with the vectors of their titles."""

    passages: VectorStore
    documents: VectorStore
    close: Callable[[], None]
    """Gives back files and connections. What is asked of the collections afterwards raises Unavailable."""


def open_stores(folder: Path | None, url: str | None, identity: str, *, rebuild: bool = False) -> Stores:
    """The collections in a folder, at a Chroma server, or in memory where both are None.

    `identity` is the embedder's. Raises BadInput where they were made by another embedder; `rebuild` empties them.
    Raises Unavailable where Chroma cannot be reached or opened.
    """
    place = url or folder
    if place is None:
        from retrieval.memory import MemoryStore

        return Stores(MemoryStore(), MemoryStore(), close=lambda: None)
    from retrieval.chroma import open_chroma

    passages, documents, close = open_chroma(place, identity, rebuild=rebuild)
    return Stores(passages, documents, close)
