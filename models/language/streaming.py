"""Statements of an answer as soon as each is complete and checked: what may be read while the rest is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from models.domain.recommendation import Advice, Candidate
from models.language.check import Checked, check_answer
from models.language.parse import MAX_ANSWER, Brackets, Unparsable
from models.language.prompt import Prompt

MAX_LOOKS = 100
"""Times that an unfinished answer is looked at: eight candidates with five statements each, twice over. What comes
after is told at the end."""


@dataclass(frozen=True)
class Told:
    """One checked statement: for a candidate, or as advice where that is None."""

    candidate: Candidate | None
    statement: Advice


class Listener:
    """Hears an answer piece by piece, and tells each statement once, after all checks of a whole answer."""

    def __init__(self, prompt: Prompt, tell: Callable[[Told | None], None]) -> None:
        self._prompt = prompt
        self._tell = tell
        self._text = ""
        self._brackets = Brackets()
        self._looks = 0
        self._over = False
        """Nothing more is followed: it is too long or too deep for an answer."""
        self._told: set[tuple[str, str]] = set()

    def hear(self, piece: str) -> None:
        """One more piece of the answer; prose before its first brace is passed over. With no piece, None is told."""
        if not piece:
            self._tell(None)
        for character in "" if self._over else piece:
            if not self._brackets.open and (character != "{" or self._text):
                continue
            self._text += character
            ended = self._brackets.follow(character)
            if ended and len(self._brackets.open) > 1 and self._looks < MAX_LOOKS:
                self._look()
            if len(self._text) > MAX_ANSWER or self._brackets.too_deep:
                self._over = True
                return

    def _look(self) -> None:
        """Check the answer as if it ended here: its open lists and objects closed."""
        self._looks += 1
        try:
            checked = check_answer(self._text + self._brackets.closing, self._prompt)
        except Unparsable:
            return
        for key, told in _all_of(checked, self._prompt):
            if key not in self._told:
                self._told.add(key)
                self._tell(told)


def _all_of(checked: Checked, prompt: Prompt) -> Iterator[tuple[tuple[str, str], Told]]:
    for name, statements in checked.justifications.items():
        for statement in statements:
            yield (name, statement.text), Told(prompt.candidates[name].candidate, statement)
    for statement in checked.advice:
        yield ("", statement.text), Told(None, statement)
