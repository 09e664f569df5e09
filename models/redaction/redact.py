"""A text with secrets and personal data replaced, and the way back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from models.domain.base import Frozen
from models.redaction.forms import ADDRESSES, PERSONAL, SECRETS, Form

PLACEHOLDER = re.compile(r"\[(?:SECRET|EMAIL|PHONE|IBAN|CARD|USER|IP)-\d{1,6}\]")
LONGEST_PLACEHOLDER = 20
"""Characters, at most."""

_REPEATED = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])\S{8,}")
"""Of secrets found by their name, those that are looked for in the rest of the text: no word that could be anything."""


class Redaction(Frozen):
    """What is replaced."""

    secrets: bool = True
    personal: bool = True
    """E-mail addresses, phone, card and account numbers, user names in paths."""
    public_addresses: bool = False
    """IP addresses that are reachable from anywhere; private ones say nothing outside and stay."""

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms that are looked for."""
        return (
            *(SECRETS if self.secrets else ()),
            *(PERSONAL if self.personal else ()),
            *(ADDRESSES if self.public_addresses else ()),
        )


@dataclass(frozen=True)
class Redacted:
    """The text that may leave, and what its placeholders stand for."""

    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    """By placeholder."""

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """The text with its placeholders turned back; unknown ones stay. `in_json`: it is JSON, values are escaped."""

        def original(match: re.Match[str]) -> str:
            value = self.values.get(match[0])
            if value is None:
                return match[0]
            return json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value

        return PLACEHOLDER.sub(original, text) if self.values else text


def redact(text: str, what: Redaction | None = None) -> Redacted:
    """Replace what must not leave the machine. One value has one placeholder, so that reasoning survives."""
    spans = _spans(text, (what or Redaction()).forms)
    if not spans:
        return Redacted(text)
    names: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    pieces: list[str] = []
    at = 0
    for start, end, kind in spans:
        key = (kind, text[start:end])
        if key not in names:
            names[key] = _placeholder(text, kind, counts)
        pieces += [text[at:start], names[key]]
        at = end
    return Redacted("".join([*pieces, text[at:]]), {name: value for (_, value), name in names.items()})


def redacted_words(text: str, what: Redaction | None = None) -> str:
    """The replaced text alone, for what never comes back."""
    return redact(text, what).text


def _placeholder(text: str, kind: str, counts: dict[str, int]) -> str:
    """The next free one: a text may hold what looks like a placeholder itself."""
    while True:
        counts[kind] = counts.get(kind, 0) + 1
        name = f"[{kind}-{counts[kind]}]"
        if name not in text:
            return name


def _spans(text: str, forms: Iterable[Form]) -> list[tuple[int, int, str]]:
    """What to replace, in order: of two that overlap the one that begins first, and a secret before others."""
    found = [
        (*match.span("it" if "it" in form.pattern.groupindex else 0), form.kind)
        for form in forms
        for match in form.pattern.finditer(text)
        if form.holds(match)
    ]
    told = {text[start:end] for start, end, kind in found if kind == "SECRET"}
    for value in sorted(value for value in told if _REPEATED.fullmatch(value)):
        found += [(match.start(), match.end(), "SECRET") for match in re.finditer(re.escape(value), text)]
    kept: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(found, key=lambda span: (span[0], span[2] != "SECRET", -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, kind))
    return kept


class Restorer:
    """Turns placeholders back in an answer that comes in pieces; one may be cut anywhere."""

    def __init__(self, redacted: Redacted, hear: Callable[[str], None]) -> None:
        self._redacted, self._hear, self._held = redacted, hear, ""

    def hear(self, piece: str) -> None:
        """Pass on what is whole: what may be the beginning of a placeholder waits for its end.

        Text that is held when the answer ends is never passed on: no JSON ends with an open bracket.
        """
        text = self._held + piece
        start = text.rfind("[")
        cut = start >= 0 and "]" not in text[start:] and len(text) - start < LONGEST_PLACEHOLDER
        self._held = text[start:] if cut else ""
        self._hear(self._redacted.restore(text[:start] if cut else text, in_json=True))
