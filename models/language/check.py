"""What may be believed of a model's answer: listed ids, quotes that stand in their passage, statements they support."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from models.domain.recommendation import Advice
from models.language.answer import Sentence
from models.language.parse import parse_object, parts_of
from models.language.prompt import Prompt
from models.language.quotes import find_quote
from models.language.support import printable, supported

MAX_SENTENCES = 5
"""Statements shown for one candidate, or as advice: more is not read."""


@dataclass(frozen=True)
class Checked:
    """The part of an answer that passed, in the prompt's ids, and how much did not."""

    order: tuple[str, ...] = ()
    justifications: dict[str, tuple[Advice, ...]] = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()
    lower_trust: bool = False
    dropped: int = 0


def check_answer(text: str, prompt: Prompt) -> Checked:
    """The believable part of an answer. Whatever fails is left out and counted, the rest is kept.

    Raises Unparsable where the answer holds no JSON object.
    """
    answer = parse_object(text)
    order, bad_ids = _order(answer.get("order"), prompt)
    justifications, bad_reasons = _justifications(answer.get("candidates"), prompt)
    advice, bad_advice = _statements(answer.get("advice"), prompt)
    trust = answer.get("lower_trust", False)
    return Checked(
        order=order,
        justifications=justifications,
        advice=advice,
        lower_trust=trust is True,
        dropped=bad_ids + bad_reasons + bad_advice + (not isinstance(trust, bool)),
    )


def _order(value: object, prompt: Prompt) -> tuple[tuple[str, ...], int]:
    """The listed ids, each once, in the model's order."""
    if not isinstance(value, list):
        return (), int(value is not None)
    known = [item for item in value if isinstance(item, str) and item in prompt.candidates]
    order = tuple(dict.fromkeys(known))
    return order, len(value) - len(order)


def _justifications(value: object, prompt: Prompt) -> tuple[dict[str, tuple[Advice, ...]], int]:
    if not isinstance(value, list):
        return {}, int(value is not None)
    found: dict[str, tuple[Advice, ...]] = {}
    dropped = 0
    for item in value:
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str) or name not in prompt.candidates or name in found:
            dropped += 1
            continue
        found[name], bad = _statements(item.get("justification"), prompt)
        dropped += bad
    return {name: kept for name, kept in found.items() if kept}, dropped


def _statements(value: Any, prompt: Prompt) -> tuple[tuple[Advice, ...], int]:
    """The statements whose quote stands in the passage that they name, and how many were left out."""
    told, bad = parts_of(value, Sentence)
    believed = list(_believed(told, prompt))
    kept = believed[:MAX_SENTENCES]
    return tuple(kept), bad + len(told) - len(kept)


def _believed(told: Iterable[Sentence], prompt: Prompt) -> Iterable[Advice]:
    seen: set[str] = set()
    for sentence in told:
        passage = prompt.passages.get(sentence.passage)
        citation = find_quote(sentence.quote, passage) if passage else None
        text = " ".join(sentence.text.split())
        if (
            citation
            and text not in seen
            and printable(text)
            and supported(text, citation.quote, prompt.catalogue, prompt.facts)
        ):
            seen.add(text)
            yield Advice(text=text, citations=(citation,))
