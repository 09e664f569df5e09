"""The whole suite: rounds on SQLite and on PostgreSQL, several at a time, and the table of what became of it."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from tests.crash.judge import Counts, Verdict
from tests.crash.kinds import KINDS
from tests.crash.lives import Workers
from tests.crash.rounds import MIXED, PAIR, Rehearsal, Round, rehearse
from tests.crash.site import Site

_CASES_A_SITE = 12
"""What was learned makes a site's next cases slower."""
_WALK = 40
"""Kills along one case."""
_WALKED = ("observable", "rollback", "neither", "approved", "next", "slow")
_AT_A_TIME = 4

NewDatabase = Callable[[], str | None]


@dataclass
class Plan:
    """How many kills of which sort; each is done on both databases by turns."""

    boundaries: int
    walks: int
    mixed: int
    pairs: int

    @property
    def total(self) -> int:
        """How many are sure: a case that is killed along its way may end sooner."""
        return self.boundaries + self.mixed + self.pairs

    @classmethod
    def of(cls, kills: int) -> Plan:
        """Half of them at boundaries, a quarter along cases, a quarter at random."""
        walks = round(kills / 4 / _WALK)
        return cls(kills // 2, walks, kills // 8, kills // 8)


@dataclass
class Suite:
    """Runs a plan. `databases`: a name, and what makes an empty one (None: SQLite in the site's folder)."""

    workers: Workers
    databases: dict[str, NewDatabase]
    seed: int
    mutations: Sequence[str] = ()
    say: Callable[[str], None] = print
    verdict: Verdict = field(default_factory=Verdict)
    by_database: dict[str, Counts] = field(default_factory=dict)
    missed: list[tuple[str, str]] = field(default_factory=list)

    def rehearse(self, kinds: Sequence[str] = tuple(KINDS)) -> Rehearsal:
        """What happens without a kill."""
        with self._site(next(iter(self.databases)), mutations=()) as site:
            return rehearse(site, kinds)

    def run(self, plan: Plan, rehearsal: Rehearsal) -> None:
        """All rounds of the plan."""
        jobs = list(self._jobs(plan, rehearsal))
        random.Random(self.seed).shuffle(jobs)
        pool = ThreadPoolExecutor(_AT_A_TIME)
        try:
            for done in as_completed([pool.submit(self._round, job, rehearsal) for job in enumerate(jobs)]):
                self._add(*done.result())
        finally:
            # Interrupted: the rounds that go on are ended, and those that were counted stay counted.
            pool.shutdown(cancel_futures=True)

    def _add(self, database: str, round_: Round) -> None:
        self.verdict.add(round_.verdict)
        self.missed += round_.missed
        counts = sum(round_.verdict.kinds.values(), Counts())
        self.by_database[database] = self.by_database.get(database, Counts()) + counts

    @property
    def total(self) -> Counts:
        """Of all kinds."""
        return sum(self.verdict.kinds.values(), Counts())

    def _jobs(self, plan: Plan, rehearsal: Rehearsal) -> Iterator[tuple[str, Callable[[Round], None]]]:
        names = cycle(self.databases)
        wanted = boundaries(rehearsal, plan.boundaries, random.Random(self.seed))
        for at in range(0, len(wanted), _CASES_A_SITE):
            batch = wanted[at : at + _CASES_A_SITE]
            yield next(names), lambda round_, batch=batch: round_.at_boundaries(batch)
        for kind, _ in zip(cycle(_WALKED), range(plan.walks), strict=False):
            yield next(names), lambda round_, kind=kind: round_.along(kind, _WALK)
        for kills, folders in ((plan.mixed, ("a",)), (plan.pairs, ("a", "b"))):
            for at in range(0, kills, _WALK // 2):
                some = min(_WALK // 2, kills - at)
                yield next(names), lambda round_, some=some, folders=folders: round_.at_random(some, folders)

    def _round(
        self, numbered: tuple[int, tuple[str, Callable[[Round], None]]], rehearsal: Rehearsal
    ) -> tuple[str, Round]:
        number, (database, drive) = numbered
        with self._site(database, self.mutations) as site:
            round_ = Round(site, rehearsal, random.Random(self.seed * 1000 + number))
            try:
                drive(round_)
                round_.finish()
            except Exception as error:  # noqa: BLE001  (the round is a fault; the others go on)
                words = f"a round on {database} broke off: {type(error).__name__}: {error}\n{site.log()}"
                round_.verdict.fault(MIXED, "lost", words)
            counts = sum(round_.verdict.kinds.values(), Counts())
            self.say(f"{database}: {counts.kills} kills, {counts.cases} cases, {len(round_.verdict.faults)} faults")
            return database, round_

    @contextmanager
    def _site(self, database: str, mutations: Sequence[str]) -> Iterator[Site]:
        # A short path: that of a socket has 107 characters at most.
        folder = Path(tempfile.mkdtemp(prefix="suture-crash-"))
        site = Site(folder / "site", self.workers, self.databases[database]())
        site.mutations = list(mutations)
        try:
            yield site
        finally:
            site.close()
            shutil.rmtree(folder)


def boundaries(rehearsal: Rehearsal, number: int, chance: random.Random) -> list[tuple[str, str]]:
    """Kinds and boundaries to be killed at: all that touch a target first, then steps, then the rest, by chance."""
    every = [(kind, boundary) for kind, found in rehearsal.boundaries.items() for boundary in found]
    chance.shuffle(every)
    every.sort(key=lambda one: _rank(one[1]))
    return every[:number]


def _rank(boundary: str) -> int:
    step, what = boundary.rsplit("/", 1)
    if what.startswith("executor") or step.startswith(("act-", "roll-back-")):
        return 0
    return 1 if what.startswith(("step", "workflow")) or step in ("alert", "word", "cancel") else 2


def table(suite: Suite) -> str:
    """The counts of each kind in columns, with a line of all."""
    rows = [["executor class", "what it does", "cases", "kills", "lost", "repeated", "uncertain", "run again", "wrong"]]
    for name in (*KINDS, MIXED, PAIR):
        if name in suite.verdict.kinds:
            rows.append(_row(name, KINDS[name].says if name in KINDS else "random instants", suite.verdict.kinds[name]))
    rows += [_row(f"on {name}", "", counts) for name, counts in suite.by_database.items()]
    rows.append(_row("total", "", suite.total))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(_aligned(cell, width, place) for place, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in [lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(name: str, says: str, counts: Counts) -> list[str]:
    uncertain = f"{counts.uncertain}" + (f" ({counts.unjustified} unjustified)" if counts.unjustified else "")
    numbers = (counts.cases, counts.kills, counts.lost, counts.repeated, uncertain, counts.again, counts.wrong)
    return [name, says, *map(str, numbers)]


def _aligned(cell: str, width: int, place: int) -> str:
    return cell.ljust(width) if place < 2 else cell.rjust(width)
