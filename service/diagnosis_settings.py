"""How much may be looked at while ranking."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from models.domain.base import Frozen
from service.guard_settings import Span


def _word(value: object) -> object:
    # YAML reads an unquoted off as false.
    return {True: "active", False: "off"}.get(value, value) if isinstance(value, bool) else value


class DiagnosisSettings(Frozen):
    """Looking must not delay help: what the budget does not allow is told as a gap."""

    mode: Annotated[Literal["active", "off"], BeforeValidator(_word)] = "active"
    """`off`: no `diagnose` check is asked; preconditions are."""
    seconds: Span = timedelta(seconds=3)
    """For all checks of one recommendation together."""
    calls: Annotated[int, Field(ge=0, le=1000)] = 40
    """Checks that are asked at most for one recommendation, each once."""
