"""Keeps the secrets that a target was given out of what it says: some systems send back what they get."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote

SHORTEST = 4
"""Characters. A shorter secret, or part of one, would be found in half of all texts."""
_MASK = "***"


def hidden(text: str, secrets: Iterable[str], *, cut_at_start: bool = False, cut_at_end: bool = False) -> str:
    """`text` with `***` for each secret: as it is, as JSON writes it, and percent-encoded.

    Where the text was cut, what is left of a secret at that end is hidden too. A program that means to tell a secret
    can always write it in a way that nobody looks for: give secrets to those that are trusted with them.
    """
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
    ordered = sorted(forms, key=len, reverse=True)
    for form in ordered:
        text = text.replace(form, _MASK)
    # Beside a cut may stand what half a character was replaced by.
    if cut_at_start:
        inner = text.lstrip("\ufffd")
        rest = max(
            (form[-n:] for form in ordered for n in _parts(form) if inner.startswith(form[-n:])), key=len, default=""
        )
        text = _MASK + inner[len(rest) :] if rest else text
    if cut_at_end:
        inner = text.rstrip("\ufffd")
        rest = max(
            (form[:n] for form in ordered for n in _parts(form) if inner.endswith(form[:n])), key=len, default=""
        )
        text = inner[: -len(rest)] + _MASK if rest else text
    return text


def _forms(secret: str) -> tuple[str, ...]:
    return (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe=""))


def _parts(form: str) -> range:
    return range(SHORTEST, len(form))
