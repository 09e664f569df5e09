"""Whether a statement says no more than its sources: a cheap test that needs no second model."""

from __future__ import annotations

import re
import unicodedata

MIN_SHARED = 0.5
"""The least share of a statement's content words that its sources must hold."""
MIN_QUOTED = 0.25
"""The least share that the quote alone must hold: a quote about something else supports nothing."""

_STEM = 5
"""Characters of a word that are compared: "restarting" and "restart" count as the same."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_IDENTIFIER = re.compile(r"[\w-]*(?:\d|_)[\w-]*")
_COMMAND = re.compile(r"\S*[/\\$|=<>{}@~^*#&;`\[\]]\S*|\w[^\s,]*[.:]\w\S*|(?<!\S)-{1,2}\w\S*")
"""Anything that could be a command, a path, an address or an option."""


def supported(text: str, quote: str, catalogue: str, facts: str) -> bool:
    """Whether the words of `text` come from its sources: the quote, the listed candidates, the incident's facts.

    What looks like a command, a path or an address must stand in the quote or in the candidates: facts come from
    outside, so a command in them must not come back as a statement. Numbers and names with an underscore may come
    from any. Of the plain words, enough must share a stem with all sources, and some with the quote itself.
    """
    own = f"{quote}\n{catalogue}"
    if any(_core(token) not in own for token in _COMMAND.findall(text)):
        return False
    if any(_core(token) not in f"{own}\n{facts}" for token in _IDENTIFIER.findall(text)):
        return False
    said = _stems(text)
    return (
        bool(said)
        and len(said & _stems(quote)) >= MIN_QUOTED * len(said)
        and len(said & _stems(f"{own}\n{facts}")) >= MIN_SHARED * len(said)
    )


def printable(text: str) -> bool:
    """Whether the text holds no control, direction-changing, private or half characters."""
    return all(character in "\n\t" or not unicodedata.category(character).startswith("C") for character in text)


def _core(token: str) -> str:
    return token.strip("`.,:;!?()\"'“”")


def _stems(text: str) -> set[str]:
    return {word.lower()[:_STEM] for word in _WORD.findall(text)}
