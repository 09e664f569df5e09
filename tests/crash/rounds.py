"""Rounds of kills: at each boundary, at boundary after boundary of one incident, and at random instants."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from models.domain.base import utc_now
from service.itsm.embedded import EmbeddedTicketing
from tests.crash.judge import Verdict, idle, judge, telling
from tests.crash.kinds import KINDS
from tests.crash.lives import Died, Life
from tests.crash.site import Case, Site

MIXED = "all together"
PAIR = "all together, two workers"
_SECONDS = 240.0
"""A case that goes on for so long without being killed is lost. On a machine with other work, most of it is waiting."""
_LIFE_SECONDS = (0.05, 1.3)
"""From the fork: some die before they work, some after a case ended."""
_AT_ONCE = 8
_LOOK_SECONDS = 0.1

Tellings = dict[tuple[str, tuple[str, ...]], list[str]]


@dataclass(frozen=True)
class Rehearsal:
    """What happens without a kill: each kind's boundaries in order, and what its tickets tell."""

    boundaries: dict[str, list[str]]
    tellings: Tellings


@dataclass
class Round:
    """Kills on one installation, and then its verdict."""

    site: Site
    rehearsal: Rehearsal
    chance: random.Random
    verdict: Verdict = field(default_factory=Verdict)
    missed: list[tuple[str, str]] = field(default_factory=list)
    """Boundaries that did not come again in a case of their kind."""

    def at_boundaries(self, wanted: Sequence[tuple[str, str]]) -> None:
        """One case for each kind and boundary, which dies there once; others are still going on, or not, by chance."""
        for kind, boundary in wanted:
            case = self.site.new(kind)
            life = self.site.start(at={case.name: boundary}).ready()
            if self.chance.random() < 0.5:
                before = self._others(case)
                self._until_dead(life, [], lambda before=before: all(map(self._over, before)))
            self._send(life, [case])
            self._until_dead(life, [case], lambda case=case: case.accepted and idle_case(self.site, case))
            if life.killed_at is None:
                self.missed.append((kind, boundary))
            self._buried(life, kind)

    def along(self, kind: str, most: int) -> None:
        """One case that dies at each boundary of its way, one after the other: those of its recoveries too."""
        case, beyond = self.site.new(kind), []
        for _ in range(most):
            life = self.site.start(beyond={case.name: beyond})
            self._send(life, [case])
            self._until_dead(life, [case], lambda: case.accepted and idle_case(self.site, case))
            if life.killed_at is None:
                life.kill()
                return
            beyond.append(life.killed_at[1])
            self._buried(life, kind)

    def at_random(self, kills: int, workers: Sequence[str] = ("a",)) -> None:
        """Cases of all kinds, and workers that are killed at any instant from their fork on, each on its own."""
        name = MIXED if len(workers) == 1 else PAIR
        dies: dict[str, float] = {}
        kinds = sorted(KINDS)
        while self.verdict.of(name).kills < kills:
            for worker in workers:
                if worker not in dies:
                    self.site.start(worker)
                    dies[worker] = time.monotonic() + self.chance.uniform(*_LIFE_SECONDS)
            worker, at = min(dies.items(), key=lambda one: one[1])
            life = self.site.lives[worker]
            going = [case for case in self.site.cases.values() if not self._over(case)]
            new = [self.site.new(self.chance.choice(kinds)) for _ in range(2)] if len(going) < _AT_ONCE else []
            self._drive(life, [*going, *new], at)
            life.kill()
            del dies[worker]
            self._buried(life, name)

    def finish(self) -> Verdict:
        """Let one worker of each folder end what is left, undisturbed, and judge."""
        for name in ("a", "b"):
            if name in self.site.lives:
                self._replaced(name)
        life = self.site.lives["a"].ready()
        cases = list(self.site.cases.values())
        self._until_dead(life, cases, lambda: all(case.accepted for case in cases) and idle(self.site))
        self.verdict.add(judge(self.site, self.rehearsal.tellings))
        for case in cases:
            if not case.accepted:
                self.verdict.fault(case.kind.name, "lost", f"{case.name} was never accepted")
        return self.verdict

    def _replaced(self, name: str) -> None:
        self.site.lives[name].close()
        self.site.start(name)

    def _buried(self, life: Life, kind: str) -> None:
        life.kill()
        self.site.note_cuts()
        self.verdict.of(kind).kills += 1
        life.close()

    def _others(self, case: Case) -> list[Case]:
        return [one for one in self.site.cases.values() if one is not case]

    def _over(self, case: Case) -> bool:
        return case.accepted and self.site.ended(case)

    def _send(self, life: Life, cases: Iterable[Case]) -> None:
        for case in cases:
            if not case.accepted:
                self.site.send(case, life)

    def _until_dead(self, life: Life, cases: Sequence[Case], enough: Callable[[], bool]) -> None:
        """Drive all cases until the worker is dead, or it is enough."""
        ends = time.monotonic() + _SECONDS
        while time.monotonic() < ends and not life.wait_dead(_LOOK_SECONDS) and not enough():
            self._drive(life, [*cases, *(case for case in self.site.cases.values() if case.kind.word)])

    def _drive(self, life: Life, cases: Sequence[Case], until: float = 0.0) -> None:
        """Send what was not accepted and say what is to be said; again until the time has come, or the worker died."""
        while True:
            try:
                for case in cases:
                    if not case.accepted:
                        self.site.send(case, life)
                    self.site.speak(case, life)
            except Died:
                return
            if time.monotonic() >= until or life.wait_dead(min(0.05, max(0.0, until - time.monotonic()))):
                return


def rehearse(site: Site, kinds: Iterable[str] = KINDS) -> Rehearsal:
    """Let one case of each kind go through without a kill."""
    found = Rehearsal({}, {})
    round_ = Round(site, found, random.Random(0))
    cases = [site.new(kind) for kind in kinds]
    life = site.start().ready()
    round_._until_dead(life, cases, lambda: all(case.accepted for case in cases) and idle(site))
    tickets = EmbeddedTicketing(site.database.engine, utc_now)
    for case in cases:
        ends = tuple(str(execution.state) for execution in site.of(case))
        assert case.kind.ends.get(ends) == str(site.incident(case).status), (case, ends, site.log())  # type: ignore[union-attr]
        found.tellings[case.kind.name, ends] = telling(tickets, case)
        found.boundaries[case.kind.name] = list(dict.fromkeys(b for name, b in life.reached if name == case.name))
    for kind in KINDS.values():
        for ends, like in kind.tells_as.items():
            if (like, ends) in found.tellings:
                found.tellings[kind.name, ends] = found.tellings[like, ends]
    life.close()
    return found


def idle_case(site: Site, case: Case) -> bool:
    """Whether the case ended and its ticket knows."""
    return site.ended(case) and not any(incident == case.incident for incident, _ in site.incidents.tickets_owed())
