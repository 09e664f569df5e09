"""Names that could be taken for others: spellings of a person, and texts that look like another text."""

from __future__ import annotations

import re
import unicodedata

# How the audit names who acts: by an API key, or at the command line.
_WAYS = ("key:", "cli:")
_ALIKE = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE"}
"""Alphabets with letters that cannot be told apart by eye. Unicode Technical Standard 39 has all of them."""
_UNSEEN = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
_WORD = re.compile(r"[^\W\d_]+")


def person(by: str) -> str:
    """One person, however written: `key:Ann ` and `cli:ann` are `ann`; so is one with letters that cannot be seen."""
    seen = "".join(character for character in by if unicodedata.category(character) not in _UNSEEN)
    name = " ".join(unicodedata.normalize("NFKC", seen).casefold().split())
    while name.startswith(_WAYS):
        name = name[4:].strip()
    return name


def deception(text: str) -> str | None:
    """Why the text could be taken for another one; None where it cannot."""
    if any(unicodedata.category(character) in _UNSEEN for character in text):
        return "it holds a character that cannot be seen"
    if text.isascii():
        return None
    if unicodedata.normalize("NFKC", text) != text:
        return "it holds a character that stands for another one"
    for word in _WORD.findall(text):
        alphabets = {unicodedata.name(letter, "").split(" ")[0] for letter in word} & _ALIKE
        if len(alphabets) > 1:
            return f"a word of it mixes letters of {' and '.join(sorted(name.capitalize() for name in alphabets))}"
    return None
