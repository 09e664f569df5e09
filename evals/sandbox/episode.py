"""What is known of one scenario while it runs and at its end: the stages that it reached, and what was tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["injected", "alerted", "seen", "found", "decided", "done", "failed", "verified", "handed", "closed"]


@dataclass(frozen=True)
class Event:
    """Something that became visible: at which stage, how many seconds after the injection, in words."""

    stage: Stage
    seconds: float
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """One execution, as it ended."""

    execution: str
    action: str
    """`executor/verb` and the target."""
    title: str
    state: str


@dataclass
class Episode:
    """What became of one fault. `seconds` counts from the injection; a stage that was not reached is missing."""

    scenario: str
    title: str
    expected: str
    """`resolved` or `handed_over`."""
    incident: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    """What was tried, in order."""
    citations: list[str] = field(default_factory=list)
    similar: list[str] = field(default_factory=list)
    """Past postmortems that the recommendation found."""
    seconds: dict[Stage, float] = field(default_factory=dict)
    """Of a stage that is reached several times, as with a second candidate, the last."""
    failure: str | None = None
    """Why it did not end as it was to; None where it did."""


class EpisodeFailed(Exception):
    """It did not end as it was to; the words say why."""
