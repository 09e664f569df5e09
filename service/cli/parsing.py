"""Reads values of options whose types would cost time to import at the start, and shows times as they are read."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

from models.domain.errors import BadInput

if TYPE_CHECKING:
    from datetime import datetime

Choice = TypeVar("Choice", bound=StrEnum)


def one_of(choices: type[Choice], text: str, option: str) -> Choice:
    """The member that `text` names. Raises BadInput with the members."""
    try:
        return choices(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is none of {', '.join(choices)}", where=option) from error


class Spell(Protocol):
    """What holds from one time to another: a maintenance window, a silence."""

    @property
    def starts_at(self) -> datetime:
        """When it begins."""

    @property
    def ends_at(self) -> datetime:
        """When it was planned to end."""

    @property
    def ended_at(self) -> datetime | None:
        """When a person ended it."""


def instant(text: str, option: str) -> datetime:
    """Raises BadInput for what is no time, or one whose zone would be a guess."""
    from datetime import datetime

    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no ISO time; write for example 2026-03-01T22:00+01:00", where=option) from error
    if at.tzinfo is None:
        words = f"{text!r} does not say in which zone; write {at.isoformat(timespec='minutes')}+01:00, or …Z for UTC"
        raise BadInput(words, where=option)
    return at


def check_words(option: str, text: str, longest: int) -> None:
    """Raises BadInput for what is empty, too long or not printable."""
    if not 0 < len(text) <= longest or not text.isprintable():
        raise BadInput(f"takes 1 to {longest} printable characters", where=option)


def state_of(spell: Spell, now: datetime) -> str:
    """`planned`, `holds` or `over`."""
    if spell.ended_at is not None or spell.ends_at <= now:
        return "over"
    return "planned" if spell.starts_at > now else "holds"


def shown_instant(at: datetime) -> str:
    """As people read it."""
    return f"{at:%F %H:%M:%S} UTC"
