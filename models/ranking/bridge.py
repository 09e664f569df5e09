"""From signs to remedies by way of causes, for the two seldom share a word.

Both are described by the causes (`models.ranking.concepts`) that they are close to, and compared there: explicit
semantic analysis (Gabrilovich & Markovitch 2007, Computing semantic relatedness using Wikipedia-based explicit
semantic analysis), with causes in place of encyclopedia articles and a probability in place of the cosine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.domain.base import Frozen
from models.ranking.concepts import CONCEPTS

SIGNS_TEMPERATURE = 0.75
REMEDY_TEMPERATURE = 1.0
"""How sharply the closest causes are preferred, in standard deviations of their scores. A remedy is a line and says
less, hence softer. From 0.5 to 1.5 the order of the development rows changes by one row at most."""
CAUSE_FLOOR = 0.01
"""The probability that any remedy mends any cause, for what the causes' list does not know."""
WORDS_FLOOR = 4.0
"""BM25 points that every remedy has for nothing: one rare word in common is no more than that."""

Scores = NDArray[np.floating]


class RemedyMatch(Frozen):
    """How a candidate's remedy compares with those of the other candidates for one incident."""

    words: float = Field(gt=-1.0, lt=1.0)
    """The advantage of its words in common with the incident: 0 is an equal share, 1 all of it."""
    bridge: float = Field(gt=-1.0, lt=1.0)
    """The advantage of its share of the probable causes."""
    cause: str = ""
    """The cause by which the two are joined most."""


def distribution(scores: Scores, temperature: float) -> NDArray[np.float64]:
    """Scores (in standard deviations, last axis causes) as probabilities of the causes: a softmax."""
    scaled = np.asarray(scores, np.float64) / temperature
    odds = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def match_remedies(signs: Scores, remedies: Scores, words: Scores) -> list[RemedyMatch]:
    """One match a remedy. `signs` [causes] and `remedies` [remedies, causes] are scores in standard deviations,
    `words` [remedies] BM25 scores of the remedies' words for the incident.

    The probability of each cause given the signs is divided among the remedies by how probable it is for each
    (Bayes' rule with equal priors); what a remedy gets in all is its share.
    """
    if not len(remedies):
        return []
    causes = distribution(signs, SIGNS_TEMPERATURE)
    mended = distribution(remedies, REMEDY_TEMPERATURE) + CAUSE_FLOOR
    parts = causes * mended / mended.sum(axis=0)
    lexical = np.asarray(words, np.float64) + WORDS_FLOOR
    joined = parts.argmax(axis=1)
    return [
        RemedyMatch(words=float(said), bridge=float(bridged), cause=CONCEPTS[place].name)
        for said, bridged, place in zip(
            advantage(lexical / lexical.sum()), advantage(parts.sum(axis=1)), joined, strict=True
        )
    ]


def advantage(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares that sum to 1 as numbers in (-1, 1): 0 for an equal share, and for a candidate that has no rival."""
    times = len(shares) * shares
    return np.asarray((times - 1) / (times + 1))
