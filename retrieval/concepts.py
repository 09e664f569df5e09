"""What operators' words have in common: `disappeared` and `down`, `inode` and `file`, `will fill` and `almost full`.

A small thesaurus of the field. Words of one line say the same of a system's state or name the same resource; it is used
to compare a query with a title only (`retrieval.rerank`), where a synonym is the whole difference between two runbooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

from retrieval.words import stem

_THESAURUS = """
soon: almost nearly soon will predicted predict approaching filling nearing expiring upcoming forecast | going to,
    about to, run out, running out, running full, filling up, due to, close to
down: down disappeared missing absent unreachable unavailable gone lost dead offline stopped inaccessible vanished
    unhealthy | not running, not ready, not up, not reachable, no longer, not available, not responding, no running,
    no ready
differ: inconsistent different differ mismatch diverge diverged divergent skew disagree unequal | not match, out of
fail: fail failure error err unsuccessful bad broken rejected invalid | not succeed, not successful
slow: slow latency duration delay late behind lag stuck slower long | not progressing, taking longer
high: high many exceed above excessive large burst spike increased overcommit over | too many, more than
low: low insufficient below few fewer lack little | less than, not enough, too few
full: full fully exhausted exceeded saturated maxed reached maximum limit capacity | out of, used up, at limit
crash: crash restart loop flapping | again and, coming up
storage: disk volume filesystem storage persistentvolume pvc pv space bytes
files: file inode
processor: cpu processor cores throttle
memory: memory ram oom heap
certificate: certificate cert tls x509
network: network interface nic packets connectivity
replicas: replica pod instance member
"""


def concepts(words: Sequence[str]) -> frozenset[str]:
    """What the stems of a text are about, by the thesaurus' names."""
    single, pairs = _read()
    found: set[str] = set()
    for word in words:
        found |= single.get(word, frozenset())
    for pair in pairwise(words):
        found |= pairs.get(pair, frozenset())
    return frozenset(found)


@cache
def _read() -> tuple[Mapping[str, frozenset[str]], Mapping[tuple[str, str], frozenset[str]]]:
    single: dict[str, frozenset[str]] = {}
    pairs: dict[tuple[str, str], frozenset[str]] = {}
    for line in _THESAURUS.replace("\n    ", " ").strip().splitlines():
        name, _, said = line.partition(":")
        words, _, phrases = said.partition("|")
        for word in map(stem, words.split()):
            single[word] = single.get(word, frozenset()) | {name}
        for phrase in filter(None, map(str.split, phrases.split(","))):
            first, second = map(stem, phrase)
            pairs[first, second] = pairs.get((first, second), frozenset()) | {name}
    return single, pairs
