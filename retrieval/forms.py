"""Words that are one word in two forms: `config` and `configuration`, `daemonset` and `Daemon Set`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache

from retrieval.words import stem

_SHORTEST = 4  # letters that both forms begin with: below, `no` would be a form of `node`
_SHORTEST_COMPOUND, _SHORTEST_PART = 6, 3
_ENDINGS = frozenset(
    """
    ur ure ation uration tion ion or er ment ness ity al ly ency ent able ible ance ence ive s y iz izable
    """.split()  # noqa: SIM905  (a list of literals would be one word a line)
)
"""What derivation adds to a stem in English. `filesystem` is no form of `file`: `system` is not among them."""


@lru_cache(maxsize=65_536)
def same_word(one: str, other: str) -> bool:
    """Whether two stems are forms of one word: equal, one derived from the other, or both from a third."""
    if one == other:
        return True
    begin = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        begin += 1
    if begin < _SHORTEST:
        return False
    first, second = one[begin:], other[begin:]
    if not first or not second:
        return (first or second) in _ENDINGS
    return begin > _SHORTEST and first in _ENDINGS and second in _ENDINGS


def forms_of(words: Iterable[str], among: Collection[str]) -> Mapping[str, frozenset[str]]:
    """For each of `words` its forms in `among`, where there are any."""
    by_letters: dict[str, list[str]] = defaultdict(list)
    for word in among:
        by_letters[word[:_SHORTEST]].append(word)
    found = {word: frozenset(o for o in by_letters.get(word[:_SHORTEST], ()) if same_word(word, o)) for word in words}
    return {word: forms for word, forms in found.items() if forms}


def with_parts(words: Collection[str], names: Collection[str], known: Callable[[str], bool]) -> set[str]:
    """The words, and the parts of compounds of which one is in `names`: `resourcequota` gives resource and quota.

    `known` says whether the corpus has a word; a compound that is itself in `names` stays whole.
    """
    found = set(words)
    for word in words:
        if len(word) < _SHORTEST_COMPOUND or word in names or not word.isalpha():
            continue
        for cut in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
            parts = stem(word[:cut]), stem(word[cut:])
            if any(part in names for part in parts) and all(map(known, parts)):
                found.update(parts)
    return found
