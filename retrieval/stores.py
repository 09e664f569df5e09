"""Opens what keeps vectors, texts and spans: two collections, made by one embedder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrieval.vectors import VectorStore


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
