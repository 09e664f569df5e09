"""The lexical index: BM25F over title, headings, prose and code."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.words import terms

FIELDS = ("title", "headings", "prose", "code")
"""A unit is a text for each of these; a missing one is empty."""


@dataclass(frozen=True)
class Weighting:
    """BM25F's constants: `boosts` are the fields' weights, `lengths` how much a field's length counts (0 to 1).

    `k1` (how quickly repeats of a term stop to count) and 0.75 for running text are the usual values, see
    Robertson & Zaragoza 2009, section 3.3. Titles and headings are short whatever their subject, hence less.
    """

    boosts: Mapping[str, float]
    lengths: Mapping[str, float]
    k1: float = 1.2


DEFAULT_WEIGHTING = Weighting(
    boosts={"title": 3.0, "headings": 1.0, "prose": 1.0, "code": 0.7},
    lengths={"title": 0.5, "headings": 0.5, "prose": 0.75, "code": 0.75},
)


class LexicalIndex:
    """BM25F of a query against every unit (a document or a passage). Immutable once built, so safe for any thread.

    Robertson & Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond, section 3.6
    (https://doi.org/10.1561/1500000019): a term's frequencies in the fields, each divided by its length
    normalisation, are summed with the fields' weights before the saturation, which comes once.
    """

    def __init__(self, units: Iterable[Mapping[str, str]], weighting: Weighting = DEFAULT_WEIGHTING) -> None:
        """Counts the terms of all units: about a second for 1,000 passages."""
        counts = {name: _Counts() for name in FIELDS}
        self._size = 0
        for unit in units:
            for name in FIELDS:
                counts[name].add(self._size, unit.get(name, ""))
            self._size += 1
        self._terms, frequencies = _normalised(counts, self._size, weighting)
        held = np.diff(frequencies.indptr)
        # Robertson & Zaragoza 2009, equation 3.3 with 1 added inside: never negative, also for a term that most have.
        rarity = np.log1p((self._size - held + 0.5) / (held + 0.5))
        saturated = frequencies.data / (weighting.k1 + frequencies.data)
        self._weights = (saturated * np.repeat(rarity, held)).astype(np.float32)
        self._units, self._starts = frequencies.indices, frequencies.indptr

    def __len__(self) -> int:
        return self._size

    def scores(self, query: str) -> NDArray[np.float32]:
        """The BM25F score of every unit, 0 or more, in the order of the units. A term counts once."""
        scores = np.zeros(self._size, np.float32)
        wanted = np.unique(np.fromiter((_key(term) for term in terms(query)), np.uint32))
        places = np.searchsorted(self._terms, wanted)
        for place, key in zip(places, wanted, strict=True):
            if place < len(self._terms) and self._terms[place] == key:
                posting = slice(self._starts[place], self._starts[place + 1])
                scores[self._units[posting]] += self._weights[posting]
        return scores


def _key(term: str) -> int:
    """A term's number. A hash instead of a dictionary of strings: a fifth of the memory, and collisions are rare."""
    return zlib.crc32(term.encode())


class _Counts:
    """Term frequencies of one field: three columns that grow together."""

    def __init__(self) -> None:
        self.terms, self.units, self.frequencies = array("I"), array("i"), array("f")
        self.lengths = array("f")

    def add(self, unit: int, text: str) -> None:
        found = Counter(map(_key, terms(text)))
        self.terms.extend(found.keys())
        self.frequencies.extend(found.values())
        self.units.extend([unit] * len(found))
        self.lengths.append(found.total())


def _normalised(counts: Mapping[str, _Counts], size: int, weighting: Weighting) -> tuple[NDArray[np.uint32], Any]:
    """The distinct terms in order, and the fields' frequencies in one sparse matrix, a row a unit, a column a term."""
    from scipy.sparse import csc_array

    values = []
    for name, field in counts.items():
        lengths = np.array(field.lengths)
        share = weighting.lengths[name]
        mean = lengths.mean() if lengths.any() else 1.0
        norm = 1 - share + share * lengths / mean
        values.append(weighting.boosts[name] * np.array(field.frequencies) / norm[np.array(field.units, np.intp)])
    keys = np.concatenate([np.array(field.terms, np.uint32) for field in counts.values()])
    rows = np.concatenate([np.array(field.units, np.int32) for field in counts.values()])
    distinct, columns = np.unique(keys, return_inverse=True)
    matrix = csc_array((np.concatenate(values), (rows, columns)), shape=(size, len(distinct)))
    matrix.sum_duplicates()
    return distinct, matrix
