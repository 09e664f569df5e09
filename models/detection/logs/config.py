"""The settings of log templates: one set for all services."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from models.domain.base import Duration, Frozen

Positive = Annotated[Duration, Field(gt=timedelta(0))]


class LogSettings(Frozen):
    """Section `logs` of the settings."""

    interval: Positive = timedelta(seconds=15)
    """Between two samples of the counts of errors and of all lines; new errors are told of at its end."""
    template_interval: Positive = timedelta(minutes=2)
    """Between two samples of the counts of templates: most have few lines, in 15 s too few to tell a change."""
    learn: Positive = timedelta(hours=1)
    """After its first line a service's templates are learnt for this long: none of them is new."""
    new_within: Positive = timedelta(minutes=10)
    """A new error counts when it was seen `new_lines` times in this time."""
    new_lines: Annotated[int, Field(ge=1, le=1000)] = 3
    max_services: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Lines of further services are dropped and counted."""
    max_templates: Annotated[int, Field(ge=10, le=10_000)] = 200
    """Of one service: the one that was not seen for longest leaves for a further one, and is counted."""
    max_line: Annotated[int, Field(ge=100, le=1_000_000)] = 4096
    """Characters; the rest of a longer line is cut, and counted."""
    max_rate: Annotated[int, Field(ge=1)] = 2000
    """Lines a second of one service for which the template is looked up; further ones are counted by level only."""
