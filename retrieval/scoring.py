"""One query against one snapshot: the arms' scores, and what they add up to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.domain.base import Frozen
from models.domain.runbook import DocumentKind, ScoredPassage
from retrieval.fusion import Scores, fuse
from retrieval.snapshot import Snapshot
from retrieval.stores import Stores
from retrieval.vectors import Among, Vectors, VectorStore

POOL = 256
"""Nearest entries that are asked of Chroma; those beyond count as alike as the last of them."""
LEXICAL_POOL = 32
"""Lexically best passages whose exact similarity is looked up where they are not among the nearest."""
BEST_PASSAGES = 3


class ScoredDocument(Frozen):
    """A document that retrieval found. `score` is the fused one; the parts are kept as evidence."""

    document: str
    kind: DocumentKind
    title: str
    score: float
    dense: float
    """Cosine similarity of its nearest passage, in [-1, 1]."""
    title_similarity: float
    """Cosine similarity of its title, in [-1, 1]."""
    lexical: float
    """BM25F score of the whole document, 0 or more."""
    passages: tuple[ScoredPassage, ...]
    """Its best passages, best first."""


class Query:
    """A query's text and vector, asked of a snapshot, of documents of one kind (None: any) but for some."""

    def __init__(
        self,
        text: str,
        vector: Vectors,
        snapshot: Snapshot,
        stores: Stores,
        *,
        kind: DocumentKind | None,
        exclude: Collection[str],
    ) -> None:
        self._text, self._vector, self._snapshot, self._stores = text, vector, snapshot, stores
        self._kind, self._exclude = kind, frozenset(exclude)
        self._allowed = np.array([self._allows(record.id, record.kind) for record in snapshot.records], bool)
        self._lexical = snapshot.passage_words.scores(text)
        self._dense = self._passage_similarities()
        self._usual = _similar(snapshot.sample.passages, vector)
        self._score = fuse(self._lexical, [(self._dense, self._usual)])

    def passages(self, k: int) -> list[ScoredPassage]:
        """The best passages: z(BM25F) + z(cosine)."""
        rows = np.flatnonzero(self._allowed[self._snapshot.owner])
        return [self._scored(row) for row in _best(self._score, rows, k)]

    def documents(self, k: int) -> list[ScoredDocument]:
        """The best documents: z(BM25F of the whole) + half of z(its nearest passage) + half of z(its title)."""
        snapshot = self._snapshot
        lexical = snapshot.document_words.scores(self._text)
        section = np.full(len(snapshot.records), self._dense.min(initial=0.0))
        np.maximum.at(section, snapshot.owner, self._dense)
        titles = self._title_similarities()
        usual_section = np.maximum.reduceat(self._usual, snapshot.sample.first) if self._usual.size else self._usual
        usual_title = _similar(snapshot.sample.titles, self._vector)
        score = fuse(lexical, [(section, usual_section), (titles, usual_title)])
        return [
            ScoredDocument(
                document=snapshot.records[row].id,
                kind=snapshot.records[row].kind,
                title=snapshot.records[row].title,
                score=float(score[row]),
                dense=float(section[row]),
                title_similarity=float(titles[row]),
                lexical=float(lexical[row]),
                passages=tuple(
                    self._scored(own)
                    for own in _best(self._score, np.flatnonzero(snapshot.owner == row), BEST_PASSAGES)
                ),
            )
            for row in _best(score, np.flatnonzero(self._allowed), k)
        ]

    def _allows(self, document: str, kind: DocumentKind) -> bool:
        return (self._kind is None or kind == self._kind) and document not in self._exclude

    def _passage_similarities(self) -> NDArray[np.float32]:
        best = _best(self._lexical, np.flatnonzero(self._lexical), LEXICAL_POOL)
        also = [self._snapshot.ids[row] for row in best]
        return self._similarities(self._stores.passages, self._snapshot.rows, Among(self._kind, self._exclude), also)

    def _title_similarities(self) -> NDArray[np.float32]:
        return self._similarities(self._stores.documents, self._snapshot.record_rows, Among(self._kind), ())

    def _similarities(
        self, store: VectorStore, rows: Mapping[str, int], among: Among, also: Sequence[str]
    ) -> NDArray[np.float32]:
        """A similarity for every row: exact for the nearest and for those in `also`, else that of the last found."""
        found = store.nearest(self._vector, min(POOL, max(1, len(rows))), among)
        similarities = np.full(len(rows), min(found.values(), default=0.0), np.float32)
        looked_up = store.vectors([id_ for id_ in also if id_ not in found])
        for id_, similarity in [*found.items(), *((id_, float(own @ self._vector)) for id_, own in looked_up.items())]:
            row = rows.get(id_)
            if row is not None:
                similarities[row] = similarity
        return similarities

    def _scored(self, row: int) -> ScoredPassage:
        return ScoredPassage(
            passage=self._snapshot.passages[row],
            score=float(self._score[row]),
            dense=float(self._dense[row]),
            lexical=float(self._lexical[row]),
        )


def _similar(sample: Vectors, vector: Vectors) -> Scores:
    return sample @ vector if sample.size else np.empty(0, np.float32)


def _best(score: Scores, rows: NDArray[np.intp], k: int) -> list[int]:
    """The rows with the highest scores, best first; equal ones in their order, so that answers repeat."""
    order = np.argsort(-score[rows], kind="stable")[: max(0, k)]
    return [int(row) for row in rows[order]]
