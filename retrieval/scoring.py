"""One query against one snapshot: the arms' scores, their sum, and the second stage on the first documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from models.domain.base import Frozen
from models.domain.runbook import DocumentKind, ScoredPassage
from retrieval.facts import Filter
from retrieval.fusion import Scores, fuse
from retrieval.rerank import POOL, First, features, fits
from retrieval.snapshot import Snapshot
from retrieval.stores import Stores
from retrieval.vectors import Among, Vectors, VectorStore, cosines

NEAREST = 256
"""Nearest entries of each kind that are asked of Chroma where the vectors are not held in memory; those beyond
count as alike as the last of them."""
LEXICAL_POOL = 32
"""Lexically best passages whose exact similarity is then looked up where they are not among the nearest."""
BEST_PASSAGES = 3


class ScoredDocument(Frozen):
    """A document that retrieval found. `score` is the first stage's; the parts are kept as evidence."""

    document: str
    kind: DocumentKind
    title: str
    score: float
    """z(BM25F of the whole) + half of z(nearest passage) + half of z(title)."""
    dense: float
    """Cosine similarity of its nearest passage, in [-1, 1]."""
    title_similarity: float
    """Cosine similarity of its title, in [-1, 1]."""
    lexical: float
    """BM25F score of the whole document, 0 or more."""
    fit: float | None = None
    """The second stage's value, by which the first documents are ordered; None for those that it did not compare."""
    features: tuple[float, ...] = ()
    """What `fit` was made of, in the order of `retrieval.rerank.FEATURES`."""
    passages: tuple[ScoredPassage, ...]
    """Its best passages, best first."""


class Query:
    """A query's text and vector, asked of a snapshot. What it computes serves any number of searches."""

    def __init__(self, text: str, vector: Vectors, snapshot: Snapshot, stores: Stores) -> None:
        self.text, self._vector, self._snapshot, self._stores = text, vector, snapshot, stores

    @property
    def snapshot(self) -> Snapshot:
        """What is asked."""
        return self._snapshot

    def passages(self, k: int, among: Filter) -> list[ScoredPassage]:
        """The best passages: z(BM25F) + z(cosine)."""
        rows = np.flatnonzero(self._snapshot.admitted(among)[self._snapshot.owner])
        return [self._scored(row) for row in _best(self._passage_score, rows, k)]

    def documents(self, k: int, among: Filter) -> list[ScoredDocument]:
        """The best documents: the first stage's order, of which the first POOL are ordered anew by the second."""
        if k <= 0:
            return []
        score = self._document_score
        rows = _best(score, np.flatnonzero(self._snapshot.admitted(among)), max(k, POOL))
        values = features(self.text, [self._first(row) for row in rows[:POOL]], self._snapshot.vocabulary)
        fit = fits(values)
        again = [
            self._scored_document(rows[place], float(fit[place]), tuple(map(float, values[place])))
            for place in np.argsort(-fit, kind="stable")[:k]
        ]
        return [*again, *(self._scored_document(row) for row in rows[POOL:k])]

    def _first(self, row: int) -> First:
        profile = self._snapshot.profiles.of(row)
        parts = self._document_score, self._document_lexical, self._section, self._titles
        return First(profile, *(float(part[row]) for part in parts))

    def _scored_document(
        self, row: int, fit: float | None = None, own_features: tuple[float, ...] = ()
    ) -> ScoredDocument:
        snapshot = self._snapshot
        record = snapshot.records[row]
        own = np.arange(snapshot.first[row], snapshot.first[row + 1])
        return ScoredDocument(
            document=record.id,
            kind=record.kind,
            title=record.title,
            score=float(self._document_score[row]),
            dense=float(self._section[row]),
            title_similarity=float(self._titles[row]),
            lexical=float(self._document_lexical[row]),
            fit=fit,
            features=own_features,
            passages=tuple(self._scored(place) for place in _best(self._passage_score, own, BEST_PASSAGES)),
        )

    @cached_property
    def _passage_lexical(self) -> NDArray[np.float32]:
        return self._snapshot.passage_words.scores(self.text)

    @cached_property
    def _document_lexical(self) -> NDArray[np.float32]:
        return self._snapshot.document_words.scores(self.text)

    @cached_property
    def _dense(self) -> NDArray[np.float32]:
        """The cosine of every passage."""
        if held := self._snapshot.held:
            return cosines(held.passages, self._vector)
        best = _best(self._passage_lexical, np.flatnonzero(self._passage_lexical), LEXICAL_POOL)
        also = [self._snapshot.ids[row] for row in best]
        return self._nearest(
            self._stores.passages, self._snapshot.rows, self._snapshot.kinds[self._snapshot.owner], also
        )

    @cached_property
    def _titles(self) -> NDArray[np.float32]:
        """The cosine of every document's title."""
        if held := self._snapshot.held:
            return cosines(held.titles, self._vector)
        return self._nearest(self._stores.documents, self._snapshot.record_rows, self._snapshot.kinds)

    @cached_property
    def _section(self) -> NDArray[np.float64]:
        """The cosine of every document's nearest passage."""
        section = np.full(len(self._snapshot.records), self._dense.min(initial=0.0))
        np.maximum.at(section, self._snapshot.owner, self._dense)
        return section

    @cached_property
    def _usual(self) -> Scores:
        return cosines(self._snapshot.sample.passages, self._vector)

    @cached_property
    def _passage_score(self) -> NDArray[np.float64]:
        return fuse(self._passage_lexical, [(self._dense, self._usual)])

    @cached_property
    def _document_score(self) -> NDArray[np.float64]:
        sample = self._snapshot.sample
        usual_section = np.maximum.reduceat(self._usual, sample.first) if self._usual.size else self._usual
        usual_title = cosines(sample.titles, self._vector)
        return fuse(self._document_lexical, [(self._section, usual_section), (self._titles, usual_title)])

    def _nearest(
        self, store: VectorStore, rows: Mapping[str, int], kinds: NDArray[np.str_], also: Sequence[str] = ()
    ) -> NDArray[np.float32]:
        """A similarity for every row: exact for the nearest of each kind of document and for those in `also`, else that
        of the last found of its kind.
        """
        similarities = np.zeros(len(rows), np.float32)
        exact: dict[str, float] = {}
        for kind in get_args(DocumentKind):
            found = store.nearest(self._vector, min(NEAREST, max(1, len(rows))), Among(kind))
            similarities[kinds == kind] = min(found.values(), default=0.0)
            exact |= found
        looked_up = store.vectors([id_ for id_ in also if id_ not in exact])
        exact |= {id_: float(own @ self._vector) for id_, own in looked_up.items()}
        for id_, similarity in exact.items():
            row = rows.get(id_)
            if row is not None:
                similarities[row] = similarity
        return similarities

    def _scored(self, row: int) -> ScoredPassage:
        return ScoredPassage(
            passage=self._snapshot.passages[row],
            score=float(self._passage_score[row]),
            dense=float(self._dense[row]),
            lexical=float(self._passage_lexical[row]),
        )


def _best(score: Scores, rows: NDArray[np.intp], k: int) -> list[int]:
    """The rows with the highest scores, best first; equal ones in their order, so that answers repeat."""
    order = np.argsort(-score[rows], kind="stable")[: max(0, k)]
    return [int(row) for row in rows[order]]
