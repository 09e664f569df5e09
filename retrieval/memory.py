"""Vectors in this process's memory, searched exactly: for small or passing indexes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.vectors import Among, Entry, Vectors, cosines


@dataclass(frozen=True)
class _Held:
    """Rows belong together. Replaced as a whole, so that a reader needs no lock."""

    entries: tuple[Entry, ...]
    rows: Mapping[str, int]
    """Entry id → row."""
    vectors: Vectors
    kinds: NDArray[np.str_]
    documents: NDArray[np.str_]


class MemoryStore:
    """One collection, as a `retrieval.vectors.VectorStore`. One thread at a time may change it."""

    def __init__(self) -> None:
        self._held = _held([], np.empty((0, 0), np.float32))

    def put(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Add the entries, or replace those with the same ids. `vectors` has a row an entry."""
        if entries:
            self._keep_without({entry.id for entry in entries}, entries, vectors)

    def remove(self, ids: Iterable[str]) -> None:
        """Delete the entries with these ids; unknown ones are ignored."""
        if gone := set(ids):
            self._keep_without(gone, [], np.empty((0, 0), np.float32))

    def ids(self) -> set[str]:
        """The ids of all entries."""
        return set(self._held.rows)

    def entries(self) -> Iterator[Entry]:
        """All entries, without their vectors."""
        yield from self._held.entries

    def nearest(self, vector: Vectors, count: int, among: Among) -> dict[str, float]:
        """The cosine similarity of the `count` entries nearest to `vector`."""
        held = self._held
        if not held.entries:
            return {}
        wanted = np.ones(len(held.entries), bool)
        if among.kind:
            wanted &= held.kinds == among.kind
        if among.without:
            wanted &= ~np.isin(held.documents, list(among.without))
        rows = np.flatnonzero(wanted)
        similarities = cosines(held.vectors[rows], vector)
        if count < len(rows):
            best = np.argpartition(-similarities, count)[:count]
            rows, similarities = rows[best], similarities[best]
        return {held.entries[row].id: float(one) for row, one in zip(rows, similarities, strict=True)}

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those ids that exist."""
        held = self._held
        return {id_: held.vectors[held.rows[id_]] for id_ in ids if id_ in held.rows}

    def _keep_without(self, gone: set[str], entries: Sequence[Entry], vectors: Vectors) -> None:
        held = self._held
        kept = [row for row, entry in enumerate(held.entries) if entry.id not in gone]
        parts = [part for part in (held.vectors[kept], vectors) if len(part)]
        joined = np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
        self._held = _held([*(held.entries[row] for row in kept), *entries], joined)


def _held(entries: Sequence[Entry], vectors: Vectors) -> _Held:
    return _Held(
        entries=tuple(entries),
        rows={entry.id: row for row, entry in enumerate(entries)},
        vectors=vectors,
        kinds=np.array([entry.metadata.get("kind", "") for entry in entries], np.str_),
        documents=np.array([entry.metadata.get("document", "") for entry in entries], np.str_),
    )
