"""What a store of vectors, texts and spans is to retrieval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


def cosines(rows: Vectors, vector: Vectors) -> Vectors:
    """The similarity of each row to `vector`, all of length 1: shape [rows].

    Not by `@`: a BLAS library spreads so small a product over all cores and waits for each of them; where those are
    busy, with the embedder's own threads for one, that takes many times as long as the product on one core.
    """
    return np.einsum("ij,j->i", rows, vector) if rows.size else np.empty(len(rows), np.float32)
