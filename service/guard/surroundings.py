"""What the guard asks of the rest: the kill switch, outcomes, earned autonomy, limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from models.domain.execution import Mode, Outcome
from models.domain.recommendation import Candidate
from service.guard.record import SuccessRecord


class Switch(Protocol):
    """The kill switch, as far as it is asked here."""

    def is_on(self) -> bool:
        """Whether new executions are stopped."""


class Outcomes(Protocol):
    """What earlier executions taught, as far as it is asked here."""

    def outcomes(self, runbook: str, action: str, environment: str | None) -> Sequence[Outcome]:
        """All outcomes of an action in an environment; in every one where that is None."""


class Levels(Protocol):
    """How far each action may go, as it was earned."""

    def level(self, candidate: Candidate) -> Mode:
        """What the candidate's action has earned in its environment."""

    def earned(self, candidate: Candidate) -> tuple[Mode, SuccessRecord]:
        """The level, and how often the action was verified to have helped there."""


class Hold(Protocol):
    """What stands in the way of a start."""

    @property
    def reason(self) -> str:
        """In words."""

    @property
    def until(self) -> datetime | None:
        """When it ends, where that is known."""

    @property
    def wait(self) -> bool:
        """Whether it passes soon by itself, so that waiting is right."""

    @property
    def concerns(self) -> str:
        """What it holds: the `action`, the `target`, or the whole `service`."""


class Reach(Protocol):
    """How much of one service is acted on within the blast radius' period."""

    @property
    def targets(self) -> int:
        """Different targets."""

    @property
    def share(self) -> float | None:
        """Of the service's instances, in [0, 1]; None where they are not known."""


class Holds(Protocol):
    """Limits over all replicas, as far as they are asked here."""

    def look(self, candidate: Candidate, now: datetime) -> Hold | None:
        """What stands in the way of a start now."""

    def survey(self, candidate: Candidate, now: datetime) -> tuple[Hold | None, Reach]:
        """That, and how much would have been acted on with this candidate."""
