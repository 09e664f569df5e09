"""The lexical index: BM25F over title, headings, prose and code."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.words import terms

FIELDS = ("title", "headings", "prose", "code")
"""A unit (a document or a passage) is a text for each of these."""


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


@dataclass(frozen=True)
class TermCounts:
    """How often each term stands in each unit, for one field. Terms are numbers, see `_key`."""

    terms: NDArray[np.uint32]
    units: NDArray[np.intp]
    frequencies: NDArray[np.float64]
    """Rows of the three belong together; a term of a unit may have several rows, which add up."""
    lengths: NDArray[np.float64]
    """Terms of each unit, repeats counted."""

    def joined(self, owner: NDArray[np.intp], size: int) -> TermCounts:
        """The counts of `size` larger units, `owner` being the one that each of these is a part of."""
        lengths = np.bincount(owner, self.lengths, size).astype(np.float64)
        return TermCounts(self.terms, owner[self.units], self.frequencies, lengths)


def count_terms(texts: Iterable[str]) -> TermCounts:
    """The counts of one field, a text a unit: about a second for 1,000 passages."""
    keys, units, frequencies, lengths = array("I"), array("q"), array("d"), array("d")
    for unit, text in enumerate(texts):
        found = Counter(map(_key, terms(text)))
        keys.extend(found.keys())
        frequencies.extend(found.values())
        units.extend([unit] * len(found))
        lengths.append(found.total())
    return TermCounts(np.array(keys, np.uint32), np.array(units, np.intp), np.array(frequencies), np.array(lengths))


class LexicalIndex:
    """BM25F of a query against every unit. Immutable once built, so safe for any thread.

    Robertson & Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond, section 3.6
    (https://doi.org/10.1561/1500000019): a term's frequencies in the fields, each divided by its length
    normalisation, are summed with the fields' weights before the saturation, which comes once.
    """

    def __init__(
        self, units: Iterable[Mapping[str, str]] | Mapping[str, TermCounts], weighting: Weighting = DEFAULT_WEIGHTING
    ) -> None:
        """`units` are texts by their fields (a missing one is empty), or the counts of each of FIELDS."""
        counts = units if isinstance(units, Mapping) else _counted(list(units))
        self._size = len(counts[FIELDS[0]].lengths)
        postings = _normalised([counts[name] for name in FIELDS], weighting)
        held = np.diff(postings.starts)
        # Robertson & Zaragoza 2009, equation 3.3 with 1 added inside: never negative, also for a term that most have.
        rarity = np.log1p((self._size - held + 0.5) / (held + 0.5))
        saturated = postings.frequencies / (weighting.k1 + postings.frequencies)
        self._weights = (saturated * np.repeat(rarity, held)).astype(np.float32)
        self._terms, self._units, self._starts = postings.terms, postings.units, postings.starts

    def __len__(self) -> int:
        return self._size

    def held_by(self, term: str) -> int:
        """How many units have the term, a stem of `retrieval.words.terms`."""
        key = np.uint32(_key(term))  # of the terms' type, else all of them would be converted
        place = int(np.searchsorted(self._terms, key))
        there = place < len(self._terms) and self._terms[place] == key
        return int(self._starts[place + 1] - self._starts[place]) if there else 0

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


def _counted(units: Sequence[Mapping[str, str]]) -> dict[str, TermCounts]:
    return {name: count_terms(unit.get(name, "") for unit in units) for name in FIELDS}


def _key(term: str) -> int:
    """A term's number. A hash instead of a dictionary of strings: a fifth of the memory, and collisions are rare."""
    return zlib.crc32(term.encode())


@dataclass(frozen=True)
class _Postings:
    """The units of each term: those of `terms[i]` are the rows from `starts[i]` to `starts[i + 1]`."""

    terms: NDArray[np.uint32]
    starts: NDArray[np.intp]
    units: NDArray[np.int32]
    frequencies: NDArray[np.float64]


def _normalised(fields: Sequence[TermCounts], weighting: Weighting) -> _Postings:
    """The fields' frequencies, normalised and weighed, as one: a row a term and unit, in the order of both."""
    values = []
    for name, field in zip(FIELDS, fields, strict=True):
        share = weighting.lengths[name]
        mean = field.lengths.mean() if field.lengths.any() else 1.0
        norm = 1 - share + share * field.lengths / mean
        values.append(weighting.boosts[name] * field.frequencies / norm[field.units])
    # Term and unit as one number, which sorts by both.
    pairs = np.concatenate([(field.terms.astype(np.uint64) << 32) | field.units.astype(np.uint64) for field in fields])
    distinct, rows = np.unique(pairs, return_inverse=True)
    terms_, starts = np.unique((distinct >> 32).astype(np.uint32), return_index=True)
    return _Postings(
        terms=terms_,
        starts=np.append(starts, len(distinct)),
        units=(distinct & 0xFFFFFFFF).astype(np.int32),
        frequencies=np.bincount(rows, np.concatenate(values), len(distinct)).astype(np.float64),
    )
