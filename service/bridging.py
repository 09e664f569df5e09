"""Texts to causes: what `models.ranking.bridge` compares, scored by words and by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.domain.runbook import Document
from models.ranking.bridge import RemedyMatch, match_remedies
from models.ranking.concepts import CONCEPTS

if TYPE_CHECKING:
    from retrieval.embedding import Embedder
    from retrieval.lexical import LexicalIndex

_KEPT = 5_000
"""Remedies whose causes are remembered: a catalogue's are the same for every incident."""
_LONGEST = 400
"""Characters of a remedy that count: a line or two say what is changed."""

Scores = NDArray[np.float64]


class Bridge:
    """Compares incidents with remedies by the causes that both speak of. Safe for any number of threads."""

    def __init__(self, embedder: Embedder) -> None:
        """`embedder` is asked when the first incident comes."""
        self._embedder = embedder
        self._known: dict[str, Scores] = {}

    def match(self, query: str, remedies: Sequence[str]) -> list[RemedyMatch]:
        """How each remedy, a text, compares with the others for the incident that `query` describes."""
        if not remedies:
            return []
        from retrieval.lexical import LexicalIndex

        [signs] = self.signs_of([query])
        words = LexicalIndex([{"prose": remedy} for remedy in remedies]).scores(query)
        return match_remedies(signs, self.remedies_of(remedies), words)

    def signs_of(self, queries: Sequence[str]) -> Scores:
        """How close incidents are to the signs of each cause, in standard deviations: shape [queries, causes]."""
        return self._signs.scores(queries)

    def remedies_of(self, remedies: Sequence[str]) -> Scores:
        """How close remedies are to those of each cause, in standard deviations: shape [remedies, causes]."""
        known = self._known
        fresh = list(dict.fromkeys(remedy for remedy in remedies if remedy not in known))
        if fresh:
            scored = dict(zip(fresh, self._remedies.scores(fresh), strict=True))
            known = known | scored
            # A new dictionary each time: another thread may read the old one.
            self._known = known if len(known) <= _KEPT else scored
        return np.stack([known[remedy] for remedy in remedies])

    @cached_property
    def _signs(self) -> _Side:
        return _Side([f"{one.name}. {one.signs}" for one in CONCEPTS], self._embedder)

    @cached_property
    def _remedies(self) -> _Side:
        return _Side([f"{one.name}. {one.remedies}" for one in CONCEPTS], self._embedder)


class _Side:
    """One side of all causes: their signs, or their remedies."""

    def __init__(self, texts: Sequence[str], embedder: Embedder) -> None:
        from retrieval.lexical import LexicalIndex

        self._words: LexicalIndex = LexicalIndex([{"prose": text} for text in texts])
        self._vectors = embedder.embed(texts)
        self._embedder = embedder

    def scores(self, texts: Sequence[str]) -> Scores:
        """z(BM25) + z(cosine) of every text with every cause, shape [texts, causes]: see `retrieval.fusion`."""
        from retrieval.fusion import z_scores

        dense = self._embedder.embed(texts) @ self._vectors.T
        return np.stack(
            [z_scores(self._words.scores(text)) + z_scores(similar) for text, similar in zip(texts, dense, strict=True)]
        )


def remedy_text(document: Document | None, action: str, title: str) -> str:
    """What an action does, in words: its title, and the lines of its runbook that speak of it by its id."""
    body = document.text[document.body_start :] if document else ""
    said = [line.strip() for line in body.splitlines() if f"`{action}`" in line]
    return " ".join([f"{title}.", *said])[:_LONGEST]
