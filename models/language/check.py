"""What may be believed of a model's answer: listed ids, quotes that stand in their passage, statements they support."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.domain.recommendation import Advice
from models.language.answer import Sentence
from models.language.parse import Unparsable, parse_beginning, parse_object, parts_of
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
    sentences: int = 0
    """Statements that the answer holds, whatever became of them."""
    dropped_for: Mapping[str, int] = field(default_factory=dict)
    """How many parts were left out, by the reason: ids, statements, fields."""

    @property
    def dropped(self) -> int:
        """How many parts were left out."""
        return sum(self.dropped_for.values())

    @property
    def shown(self) -> int:
        """Statements that passed."""
        return len(self.advice) + sum(map(len, self.justifications.values()))


def check_answer(text: str, prompt: Prompt) -> Checked:
    """The believable part of an answer. Whatever fails is left out and counted, the rest is kept.

    Of an answer that was cut off the complete parts count. Raises Unparsable where it holds no JSON object.
    """
    checking = _Checking(prompt)
    try:
        answer = parse_object(text)
    except Unparsable:
        answer = parse_beginning(text)
        checking.drop("cut off")
    trust = answer.get("lower_trust", False)
    if not isinstance(trust, bool):
        checking.drop("wrong form")
    return Checked(
        order=checking.order(answer.get("order")),
        justifications=checking.justifications(answer.get("candidates")),
        advice=checking.statements(answer.get("advice")),
        lower_trust=trust is True,
        sentences=checking.sentences,
        dropped_for=dict(checking.dropped),
    )


class _Checking:
    """The checks of one answer, and the counts that they leave."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self.dropped: Counter[str] = Counter()
        self.sentences = 0

    def drop(self, reason: str, count: int = 1) -> None:
        if count:
            self.dropped[reason] += count

    def order(self, value: object) -> tuple[str, ...]:
        """The listed ids, each once, in the model's order."""
        if not isinstance(value, list):
            self.drop("wrong form", int(value is not None))
            return ()
        known = [item for item in value if isinstance(item, str) and item in self._prompt.candidates]
        order = tuple(dict.fromkeys(known))
        self.drop("unknown id", len(value) - len(known))
        self.drop("repeated", len(known) - len(order))
        return order

    def justifications(self, value: object) -> dict[str, tuple[Advice, ...]]:
        """By candidate id, the statements that passed."""
        if not isinstance(value, list):
            self.drop("wrong form", int(value is not None))
            return {}
        found: dict[str, tuple[Advice, ...]] = {}
        for item in value:
            name = item.get("id") if isinstance(item, dict) else None
            if not isinstance(name, str) or name not in self._prompt.candidates:
                self.drop("unknown id")
            elif name in found:
                self.drop("repeated")
            else:
                found[name] = self.statements(item.get("justification"))
        return {name: kept for name, kept in found.items() if kept}

    def statements(self, value: object) -> tuple[Advice, ...]:
        """The statements whose quote stands in the passage that they name, and that it supports."""
        told, bad = parts_of(value, Sentence)
        self.sentences += len(told) + bad
        self.drop("wrong form", bad)
        kept: dict[str, Advice] = {}
        for sentence in told:
            statement = self._believed(sentence)
            if isinstance(statement, str):
                self.drop(statement)
            elif statement.text in kept:
                self.drop("repeated")
            elif len(kept) == MAX_SENTENCES:
                self.drop("too many")
            else:
                kept[statement.text] = statement
        return tuple(kept.values())

    def _believed(self, sentence: Sentence) -> Advice | str:
        """The statement with its citation; else why it is not believed."""
        passage = self._prompt.passages.get(sentence.passage)
        if passage is None:
            return "unknown id"
        citation = find_quote(sentence.quote, passage)
        if citation is None:
            return "quote not in its passage"
        text = " ".join(sentence.text.split())
        if not printable(text):
            return "unprintable"
        if not supported(text, citation.quote, self._prompt.catalogue, self._prompt.facts):
            return "not supported by its quote"
        return Advice(text=text, citations=(citation,))
