"""Which kinds of signals belonged together before: learned from incidents that ended and from people's words.

A kind is a signal's name and service. Each pair of kinds has two counts that fade (half of them is left after 90 days):
how often they were one incident, and how often a person said that they are not. The log-odds of belonging together are
log((together + 1) / (apart + 1)): 0 where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import combinations, product

from models.domain.base import Frozen, Time
from models.domain.signal import Signal

HALF_LIFE = timedelta(days=90)
PERSON = 3.0
"""What a person's word counts. It outweighs nothing but its opposite, and lasts for about five months."""
RESOLVED = 0.25
"""What an incident counts that was resolved with both in it: four say as much as is needed to join what is apart."""
TELLS = math.log(2)
"""Log-odds from which two kinds belong together though nothing else connects them; below the negative, they do not
though they are connected."""
KINDS_AT_MOST = 12
"""Kinds of one incident that are learned from: the first ones."""
LONGEST = 300

Key = tuple[str, str]


class Pair(Frozen):
    """Two kinds, in alphabetical order, with their counts as of `at`."""

    one: str
    other: str
    together: float = 0.0
    apart: float = 0.0
    at: Time

    def faded(self, now: datetime) -> Pair:
        """The counts as of `now`."""
        left = 0.5 ** (max(now - self.at, timedelta()) / HALF_LIFE)
        return self.model_copy(update={"together": self.together * left, "apart": self.apart * left, "at": now})


def kind_of(signal: Signal) -> str:
    """`<name> of <service>`."""
    return f"{signal.name} of {signal.service or 'no service'}"[:LONGEST]


class Companions:
    """What is known of pairs, as of one time."""

    def __init__(self, pairs: Iterable[Pair] = (), now: datetime | None = None) -> None:
        faded = (pair.faded(now) if now else pair for pair in pairs)
        self._odds = {(p.one, p.other): math.log((p.together + 1) / (p.apart + 1)) for p in faded}

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self._odds)

    def odds(self, kinds: Collection[str], others: Collection[str]) -> tuple[float, str]:
        """The log-odds of the surest pair between the two, and that pair's other kind; 0 and "" where none is known."""
        known = (
            (self._odds[key], other)
            for kind, other in product(kinds, others)
            if (key := _key(kind, other)) in self._odds
        )
        return max(known, key=lambda each: abs(each[0]), default=(0.0, ""))


def within(signals: Iterable[Signal]) -> Iterator[Key]:
    """The pairs of kinds in one incident."""
    return (_key(one, other) for one, other in combinations(_kinds(signals), 2))


def across(signals: Iterable[Signal], others: Iterable[Signal]) -> Iterator[Key]:
    """The pairs with one kind in each."""
    return (_key(one, other) for one, other in product(_kinds(signals), _kinds(others)) if one != other)


def learned(
    known: Mapping[Key, Pair], keys: Iterable[Key], now: datetime, *, together: float = 0.0, apart: float = 0.0
) -> list[Pair]:
    """The pairs of `keys` after one more observation."""
    found = []
    for key in dict.fromkeys(keys):
        pair = known[key].faded(now) if key in known else Pair(one=key[0], other=key[1], at=now)
        counts = {"together": pair.together + together, "apart": pair.apart + apart}
        found.append(pair.model_copy(update=counts))
    return found


def _kinds(signals: Iterable[Signal]) -> list[str]:
    return list(dict.fromkeys(map(kind_of, signals)))[:KINDS_AT_MOST]


def _key(one: str, other: str) -> Key:
    return (one, other) if one <= other else (other, one)
