"""Limits while the past is replayed: freezes, rates and blast radius, over what would have been started."""

from __future__ import annotations

from datetime import datetime

from models.domain.recommendation import Candidate
from models.domain.topology import Topology
from service.guard.rules import Hold, Reach, first_hold, reach
from service.guard_settings import LimitSettings
from service.store.admission import Facts, Start, place_of


class ShadowLimits:
    """The rules of `service/guard/rules.py` over the replay's own starts. Nothing runs, so no target is ever busy."""

    def __init__(self, settings: LimitSettings, topology: Topology) -> None:
        self._settings = settings
        self._topology = topology
        self._starts: list[Start] = []

    def look(self, candidate: Candidate, now: datetime) -> Hold | None:
        """What would have stood in the way."""
        return self.survey(candidate, now)[0]

    def survey(self, candidate: Candidate, now: datetime) -> tuple[Hold | None, Reach]:
        """That, and how much would have been acted on."""
        facts = Facts(
            now=now,
            place=place_of(candidate),
            kill_switch=False,
            maintenance=(),
            # Of the future nothing is known yet.
            starts=tuple(start for start in self._starts if start.at <= now),
            active=(),
            doubts=(),
            outcomes=(),
        )
        far = reach(facts, self._settings.blast_radius, self._topology)
        return first_hold(facts, self._settings, self._topology), far

    def started(self, candidate: Candidate, at: datetime) -> None:
        """The candidate would have been started."""
        self._starts.append(Start(at, place_of(candidate)))
