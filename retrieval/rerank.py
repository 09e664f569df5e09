"""The second stage: the first documents of the fused order, compared again by what tells near twins apart.

A linear model over features that all speak for a document: the more of one, the higher it stands, so the weights are
never negative. `python -m evals.retrieval_reranker` learns them, as the softmax over one query's documents (ListNet,
Cao et al. 2007, Learning to rank: from pairwise approach to listwise approach; here one document a query is right).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.concepts import concepts
from retrieval.forms import forms_of, with_parts
from retrieval.lexical import LexicalIndex
from retrieval.profiles import Profile
from retrieval.rerank_weights import WEIGHTS
from retrieval.words import STOP_WORDS, identifiers, stems

POOL = 20
"""Documents that are compared again: on labelled alerts the right one is among them in 99 of 100 queries."""

FEATURES = (
    "fused",  # the first stage's score: z(BM25F) and z(cosine), in quarters of it
    "lexical",  # BM25F of the whole document, brought into [0, 1)
    "dense",  # cosine of the nearest passage
    "title_sim",  # cosine of the title
    "title_covered",  # share of the title's words that the query has, by their rarity
    "query_in_title",  # share of the query's words that the title has, by their rarity
    "query_in_lead",  # the same for the opening
    "twin_title",  # as title_covered, by how well the word tells these documents apart
    "twin_title_less",  # title words that the query lacks, by how few of the likely documents have them (negative)
    "name",  # the query names it: its id, title or heading is a line or an identifier of the query
    "title_synonyms",  # share of the title's words that the query has another word for
    "concepts_in_title",  # share of what the query is about that the title is about
)

_STOP_RARITY = 0.3  # "any" and "5" tell twins apart, but a subject's word must count for more
_FUSED, _LESS = 4.0, 5.0  # bring the two that are no shares to about the others' spread
_HALF = 15.0  # the BM25F score that counts one half; BM25 has no upper end
_FLOOR = 0.1  # share of the likely documents below which a word's rarity grows no further


@dataclass(frozen=True)
class First:
    """A document as the first stage found it."""

    profile: Profile
    fused: float
    lexical: float
    dense: float
    title_similarity: float


@dataclass(frozen=True)
class Vocabulary:
    """What the corpus says of a word."""

    words: LexicalIndex
    """Of whole documents."""
    titles: frozenset[str]
    """Stems of all titles and ids."""

    def rarity(self, word: str) -> float:
        """About the logarithm of how many documents there are to one that has the word."""
        if word in STOP_WORDS or (len(word) == 1 and word.isascii()):
            return _STOP_RARITY
        return _rarity(self.words.held_by(word), len(self.words))

    def knows(self, word: str) -> bool:
        """Whether any document has the word."""
        return self.words.held_by(word) > 0


def fits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of each document from its features: higher is better, comparable between queries only roughly."""
    return np.asarray(values @ np.array([WEIGHTS[name] for name in FEATURES]), np.float64)


def features(query: str, found: Sequence[First], vocabulary: Vocabulary) -> NDArray[np.float64]:
    """The features of each document, in the order of FEATURES, shape [documents, features]."""
    if not found:
        return np.empty((0, len(FEATURES)))
    asked = _Asked(query, found, vocabulary)
    return np.array([[*_first(one), *asked.features(one.profile)] for one in found])


def _first(one: First) -> tuple[float, ...]:
    return one.fused / _FUSED, one.lexical / (one.lexical + _HALF), one.dense, one.title_similarity


class _Asked:
    """A query beside the documents that were found for it."""

    def __init__(self, query: str, found: Sequence[First], vocabulary: Vocabulary) -> None:
        own = stems(query)
        profiles = [one.profile for one in found]
        words = with_parts(set(own), vocabulary.titles, vocabulary.knows)
        self._concepts = concepts(own)
        self._names = {tuple(stems(line)) for line in query.splitlines()}
        self._names |= {tuple(stems(name)) for name in identifiers(query)}
        self._names.discard(())
        in_titles = {word for profile in profiles for word in profile.title}
        self._forms = forms_of(in_titles, words)
        self._rarity = {word: vocabulary.rarity(word) for word in words | in_titles}
        self._all = sum(self._rarity[word] for word in words) or 1.0
        self._words = words
        held = Counter(word for profile in profiles for word in profile.title)
        self._telling = {word: _rarity(held[word], len(found)) for word in in_titles}
        self._surprise = _surprises(found, in_titles)
        self._synonyms = {word for word in in_titles if word not in self._forms and concepts([word]) & self._concepts}

    def features(self, profile: Profile) -> tuple[float, ...]:
        covered = [word for word in profile.title if word in self._forms]
        lacking = [word for word in profile.title if word not in self._forms]
        said = {form for word in covered for form in self._forms[word]}
        return (
            _share(covered, profile.title, self._rarity),
            sum(self._rarity[word] for word in said) / self._all,
            sum(self._rarity[word] for word in self._words & profile.lead) / self._all,
            _share(covered, profile.title, self._telling),
            -sum(self._surprise[word] for word in lacking) / _LESS,
            float(not self._names.isdisjoint(profile.names)),
            _share([word for word in lacking if word in self._synonyms], profile.title, self._rarity),
            len(self._concepts & profile.title_concepts) / max(1, len(self._concepts)),
        )


def _share(part: Iterable[str], whole: Iterable[str], weight: Mapping[str, float]) -> float:
    return sum(weight[word] for word in part) / (sum(weight[word] for word in whole) or 1.0)


def _rarity(held: int, size: int) -> float:
    """As in BM25: never negative."""
    return math.log1p((size - held + 0.5) / (held + 0.5))


def _surprises(found: Sequence[First], words: Iterable[str]) -> Mapping[str, float]:
    """How few have each word in their title, every document counting as much as the first stage believes in it."""
    scores = np.array([one.fused for one in found])
    likely = np.exp(scores - scores.max())
    likely /= likely.sum()
    found_in: dict[str, float] = dict.fromkeys(words, 0.0)
    for share, one in zip(likely, found, strict=True):
        for word in one.profile.title:
            found_in[word] += float(share)
    return {
        word: math.log((1 + _FLOOR) / (share + _FLOOR)) * (0.5 if word in STOP_WORDS else 1.0)
        for word, share in found_in.items()
    }
