"""Vectors of a whole corpus in memory: searched exactly, and a sample of them that says what similarity is usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.stores import Stores
from retrieval.vectors import Vectors, VectorStore, matrix

SAMPLE = 1_024  # enough for a mean and a spread: their standard errors are then about 3 % of the spread
MOST_BYTES = 128 * 2**20
"""Of vectors in memory: some 87,000 with 384 numbers, whose product with a query takes about 20 ms. Chroma's own
search serves beyond."""


@dataclass(frozen=True)
class Held:
    """All vectors, row by row as the snapshot's passages and records."""

    passages: Vectors
    titles: Vectors


@dataclass(frozen=True)
class Sample:
    """Vectors that stand for the whole corpus, all of them while it is small: they say what similarity is usual."""

    passages: Vectors
    """Of whole documents, [rows, dimension]; one document's rows stand together."""
    first: NDArray[np.intp]
    """The row where each document begins."""
    titles: Vectors

    @property
    def dimension(self) -> int:
        """The vectors' size; 0 where the index is empty."""
        return int(self.titles.shape[1])


def load_held(stores: Stores, ids: Sequence[str], records: Sequence[str], before: Known | None = None) -> Held | None:
    """The vectors of these passages and documents; None where they take more than MOST_BYTES or some are missing.

    Those that `before` has under the same id are not read again.
    """
    some = stores.documents.vectors(records[:1])
    dimension = len(next(iter(some.values()), ()))
    if 4 * dimension * (len(ids) + len(records)) > MOST_BYTES:
        return None
    # A passage's id holds its document's hash, so what it names never changes; a title's does not.
    passages = _gathered(stores.passages, ids, before)
    titles = matrix(stores.documents, records)
    return Held(passages, titles) if len(passages) == len(ids) and len(titles) == len(records) else None


@dataclass(frozen=True)
class Known:
    """Vectors of passages that were read before, and the row of each id."""

    rows: dict[str, int]
    vectors: Vectors


def _gathered(store: VectorStore, ids: Sequence[str], before: Known | None) -> Vectors:
    if before is None or not before.rows:
        return matrix(store, ids)
    fresh = [id_ for id_ in ids if id_ not in before.rows]
    read = matrix(store, fresh)
    if len(read) != len(fresh):
        return np.empty((0, 0), np.float32)
    if fresh and read.shape[1] != before.vectors.shape[1]:
        return matrix(store, ids)  # another process has rebuilt the index
    places = {id_: len(before.vectors) + place for place, id_ in enumerate(fresh)} | before.rows
    both = np.concatenate([before.vectors, read]) if fresh else before.vectors
    return both[[places[id_] for id_ in ids]]


def load_sample(
    stores: Stores, ids: Sequence[str], records: Sequence[str], owner: NDArray[np.intp], held: Held | None
) -> Sample:
    """Every how many-th document, so that about SAMPLE passages and SAMPLE titles remain."""
    rows = np.flatnonzero(owner % _step(len(ids)) == 0)
    titles = np.arange(0, len(records), _step(len(records)))
    return Sample(
        passages=held.passages[rows] if held else matrix(stores.passages, [ids[int(row)] for row in rows]),
        first=np.unique(owner[rows], return_index=True)[1],
        titles=held.titles[titles] if held else matrix(stores.documents, [records[int(row)] for row in titles]),
    )


def _step(count: int) -> int:
    return max(1, -(-count // SAMPLE))
