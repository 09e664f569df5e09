"""How far each action may go while the past is replayed: as if it had earned a level, or earned on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.domain.execution import Mode
from models.domain.recommendation import Candidate
from service.guard.ladder import above, counted, rank
from service.guard.record import SuccessRecord
from service.settings import Settings
from service.store.autonomy import Evidence, Place

_NONE = Evidence(verified=0, failed=0, agreed=0, disagreed=0)
_EMPTY = SuccessRecord(0, 0)


class GivenLevels:
    """Every action as if it had earned one level, by the least record that the bar asks for."""

    def __init__(self, level: Mode, settings: Settings) -> None:
        enough = SuccessRecord(0, 0).wanted(settings.autonomy.bar) if level is Mode.AUTO else 0
        self._earned = level, SuccessRecord(enough, enough)

    def level(self, candidate: Candidate) -> Mode:
        """The level."""
        return self.earned(candidate)[0]

    def earned(self, candidate: Candidate) -> tuple[Mode, SuccessRecord]:  # noqa: ARG002  (all alike)
        """The level and its record."""
        return self._earned


@dataclass(frozen=True)
class _Standing:
    level: Mode
    evidence: Evidence = _NONE
    """Since the last change of the level."""
    record: SuccessRecord = _EMPTY
    """Since trust was last taken back."""


class EarnedLevels:
    """Levels that rise and fall with what is replayed, by the rules of `service/guard/autonomy.py`.

    What stands in for verification: an act that was right by the truth is taken to have helped, any other not. Where
    the truth is not known nothing is learned.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._standings: dict[Place, _Standing] = {}

    def level(self, candidate: Candidate) -> Mode:
        """What the action has earned so far."""
        return self.earned(candidate)[0]

    def earned(self, candidate: Candidate) -> tuple[Mode, SuccessRecord]:
        """The level so far, and the record of acts that helped."""
        standing = self._of(_place(candidate))
        return standing.level, standing.record

    def learn(self, candidate: Candidate, *, right: bool, ran: bool) -> str | None:
        """What follows from one incident: whether its first choice was right, and whether it ran (by itself, or after
        a person's yes, which comes where it is right). Returns the change of level in words.
        """
        place = _place(candidate)
        was = self._of(place)
        now = replace(was, evidence=_with(was.evidence, right=right, ran=ran))
        if ran:
            now = replace(now, record=SuccessRecord(was.record.successes + right, was.record.total + 1))
        now = self._moved(place, now, failed=ran and not right)
        self._standings[place] = now
        return None if now.level is was.level else f"{place}: {was.level} → {now.level}"

    def _moved(self, place: Place, now: _Standing, *, failed: bool) -> _Standing:
        if failed:
            return _Standing(Mode.APPROVE) if now.level is Mode.AUTO else now
        following, ceiling = above(now.level), self._settings.mode_of(place.environment)
        if following is None or rank(following) > rank(ceiling):
            return now
        enough = counted(now.level, now.evidence).reaches(self._settings.autonomy.bar)
        return replace(now, level=following, evidence=_NONE) if enough else now

    def _of(self, place: Place) -> _Standing:
        return self._standings.get(place) or _Standing(self._settings.autonomy.start_in(place.environment))


def _with(evidence: Evidence, *, right: bool, ran: bool) -> Evidence:
    return Evidence(
        verified=evidence.verified + (ran and right),
        failed=evidence.failed + (ran and not right),
        agreed=evidence.agreed + right,
        # A wrong act that ran counts as failed already: nobody said no to it.
        disagreed=evidence.disagreed + (not right and not ran),
    )


def _place(candidate: Candidate) -> Place:
    return Place(candidate.runbook, candidate.action, candidate.environment)
