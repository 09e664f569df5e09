"""Statements of an answer as soon as each is complete and checked: what may be read while the rest is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from models.domain.recommendation import Advice, Candidate
from models.language.check import Checked, check_answer
from models.language.parse import MAX_ANSWER, Unparsable
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

    def __init__(self, prompt: Prompt, tell: Callable[[Told], None]) -> None:
        self._prompt = prompt
        self._tell = tell
        self._text = ""
        self._open = ""
        """Brackets that are open, innermost last."""
        self._quoted = False
        self._escaped = False
        self._looks = 0
        self._told: set[tuple[str, str]] = set()

    def hear(self, piece: str) -> None:
        """One more piece of the answer; prose before its first brace is passed over."""
        for character in piece:
            if not self._open and (character != "{" or self._text):
                continue
            self._text += character
            if self._follow(character) and len(self._open) > 1 and self._looks < MAX_LOOKS:
                self._look()
            if len(self._text) > MAX_ANSWER:
                self._looks = MAX_LOOKS

    def _follow(self, character: str) -> bool:
        """Keep track of strings and brackets; whether an object ended."""
        if self._quoted:
            self._quoted = self._escaped or character != '"'
            self._escaped = character == "\\" and not self._escaped
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self._open += character
        elif character in "}]":
            self._open = self._open[:-1]
            return character == "}"
        return False

    def _look(self) -> None:
        """Check the answer as if it ended here: its open lists and objects closed."""
        self._looks += 1
        closing = "".join("}" if bracket == "{" else "]" for bracket in reversed(self._open))
        try:
            checked = check_answer(self._text + closing, self._prompt)
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
