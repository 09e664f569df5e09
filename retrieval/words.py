"""Text into terms: identifiers taken apart, words without their endings, neighbouring words as pairs."""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache

_TOKEN = re.compile(r"\w+(?:[:]\w+)*", re.UNICODE)
# An acronym before a word (`API|Down`), a word, an acronym, a number: etcdGRPCRequests → etcd GRPC Requests.
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")

# The end of a sentence, a table's cell, a paragraph or an item of a list.
_BREAK = re.compile(r"[.!?;|]|\n\s*(?:\n|[-*+]\s|\d)")

STOP_WORDS = frozenset(
    """
    a about an and any are as at be been being but by can could did do does for from had has have how if in into is it
    its may more most no not of off on one only or other our out over should since so some such than that the their
    them then there these they this those to under up us use used using was we were what when where which while who
    will with would you your
    """.split()  # noqa: SIM905  (a list of literals would be one word a line)
)
"""Function words of English, which say nothing of a document's subject."""


def terms(text: str) -> list[str]:
    """Lower-case stems, whole identifiers and pairs of neighbours (`crash loop`), in order, repeats kept.

    `kube_pod_status` and `KubePodStatus` both give kube, pod, status and their pairs, and themselves as a whole.
    Pairs do not reach over the end of a sentence.
    """
    found: list[str] = []
    previous, end = "", 0
    for match in _TOKEN.finditer(text):
        if previous and _BREAK.search(text, end, match.start()):
            previous = ""
        end = match.end()
        whole, parts = _taken_apart(match.group())
        if whole:
            found.append(whole)
        for part in parts:
            found.append(part)
            if previous:
                found.append(f"{previous} {part}")
            previous = part
    return found


def stems(text: str) -> list[str]:
    """Every word as a lower-case stem, in order, identifiers taken apart; function words and numbers as well."""
    return [stem(part.lower()) for match in _TOKEN.finditer(text) for part in _PART.findall(match.group())]


def identifiers(text: str) -> set[str]:
    """What is written as one and has several parts (`pg_up`, `KubePodCrashLooping`), in lower case."""
    found = (match.group() for match in _TOKEN.finditer(text))
    return {one.lower() for one in found if is_identifier(one)}


def is_identifier(token: str) -> bool:
    """Whether it is one word of several parts. A hyphen joins ordinary words, so it makes no identifier."""
    return bool(_TOKEN.fullmatch(token)) and len(_PART.findall(token)) > 1


def without(text: str, names: Container[str]) -> str:
    """The text without those identifiers that are among `names` (in lower case)."""
    return _TOKEN.sub(lambda match: " " if match.group().lower() in names else match.group(), text)


@lru_cache(maxsize=65_536)
def _taken_apart(token: str) -> tuple[str, tuple[str, ...]]:
    """The whole in lower case where it has several parts (else empty), and the stems of those that say something."""
    parts = [stem(part.lower()) for part in _PART.findall(token)]
    telling = tuple(part for part in parts if part not in STOP_WORDS and not (len(part) == 1 and part.isascii()))
    return token.lower() if len(parts) > 1 else "", telling


def split_identifier(name: str) -> str:
    """An identifier as words: `KubePodCrashLooping` → `Kube Pod Crash Looping`."""
    return " ".join(_PART.findall(name))


def stem(word: str) -> str:
    """A word without its plural, -ing or -ed, so that `failing`, `failed` and `fails` meet.

    Light on purpose, after the S-stemmer (Harman 1991, How effective is suffixing?): longer rules join words
    that mean different things.
    """
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    word = _singular(word)
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 3 and any(letter in "aeiouy" for letter in root):
            if root[-1] == root[-2] and root[-1] not in "ls":
                return root[:-1]
            return root
    return word.removesuffix("e") if len(word) > 4 else word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\([^)\s]*\)|https?://\S+")


def split_code(text: str) -> tuple[str, str]:
    """Markdown as (prose, code): fenced blocks and text between back-ticks are code, link targets are neither."""
    code: list[str] = []

    def take(match: re.Match[str]) -> str:
        code.append(match.group(match.lastindex or 0))
        return "\n"

    prose = _FENCE.sub(take, text)
    code.extend(_INLINE.findall(prose))
    return _LINK.sub(" ", prose), "\n".join(code)
