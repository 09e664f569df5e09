"""Log lines as they come in, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from models.detection.batch import Batch
from models.domain.signal import Signal

Owner = tuple[str, str]
"""Service and environment; either may be empty."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One message of one service. `at` is in unix seconds; `level` is one of `levels.LEVELS` or `unknown`."""

    at: float
    owner: Owner
    level: str
    text: str


@dataclass
class Taken:
    """What became of lines, in numbers."""

    accepted: int = 0
    """Counted, those of the next four included."""
    cut: int = 0
    """Longer than `max_line`: their beginning was read."""
    by_level_only: int = 0
    """Beyond `max_rate`: counted by level, their template was not looked up."""
    late: int = 0
    """Too old for the series; their templates know them."""
    dropped: int = 0
    """Of a service beyond `max_services`."""
    templates_left: int = 0
    """Templates that left for new ones."""

    def add(self, other: Taken) -> None:
        """Sum up."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True)
class Tick:
    """What one interval gives: samples for the detector, and new errors as signals."""

    batch: Batch
    signals: tuple[Signal, ...]
