"""Seeded logs of several services: rates over four decades, days and nights, bursts, errors that are rare and new."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from evals.logs.patterns import ERRORS, NORMAL, UNSEEN
from models.detection.logs.lines import LogLine

INTERVAL = 15.0
DAY = 86_400.0
SERVICES = ("shop", "orders", "payments", "auth")
TEMPLATES = 22
"""Of each service at levels below error; the errors of health come on top."""
NEW_ERRORS_A_DAY = 0.5
"""Of each service in health: somebody does for the first time what nobody did before."""


class _Filling:
    """Values for the parts that differ."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._users = [
            f"{a}.{b}" for a in ("ann", "bob", "eve", "joe", "kim") for b in ("adler", "baker", "cole", "diaz")
        ]
        self._draws: dict[str, Callable[[], object]] = {
            "n": lambda: int(rng.lognormvariate(5, 2)),
            "digits": lambda: f"{rng.randrange(10_000):04}",
            "ms": lambda: f"{rng.lognormvariate(3, 1):.1f}",
            "id": lambda: f"{rng.getrandbits(48):012x}",
            "uuid": lambda: "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}".format(*map(rng.getrandbits, (32, 16, 12, 12, 48))),
            "ip": lambda: f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
            "user": lambda: rng.choice(self._users),
            "letter": lambda: rng.choice("abcd"),
            "carrier": lambda: rng.choice(("dhl", "ups", "gls")),
            "feature": lambda: rng.choice(("new-checkout", "dark-mode", "fast-search")),
        }

    def __getitem__(self, name: str) -> object:
        return self._draws[name]()


@dataclass
class Source:
    """One template of one service. `rate`: lines a second, by day on average; `burst`: shape of the gamma that moves it
    from interval to interval (0: a Poisson process).
    """

    service: str
    level: str
    pattern: str
    rate: float
    burst: float = 0.0
    factor: float = 1.0
    """What an injection makes of the rate."""


@dataclass
class World:
    """The services at work. Equal seeds give equal lines."""

    seed: int
    sources: list[Source] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311  (a simulation)
        self._filling = _Filling(self._rng)
        self._rare: list[tuple[float, Source]] = []
        for service in SERVICES:
            chosen = self._rng.sample(NORMAL, TEMPLATES)
            rates = [(level, pattern, 10 ** self._rng.uniform(-3.5, 0.0)) for level, pattern in chosen]
            rates += [
                (level, pattern, 10 ** self._rng.uniform(-4.0, -1.5)) for level, pattern in self._rng.sample(ERRORS, 4)
            ]
            for level, pattern, rate in rates:
                burst = self._rng.choice((0.0, 0.0, 4.0, 1.0))
                self.sources.append(Source(service, level, pattern, rate, burst))

    def interval(self, at: float, *, rare: bool = True) -> list[LogLine]:
        """The lines of the interval that begins at `at` (unix seconds)."""
        if rare:
            self._rare_errors(at)
        lines = []
        for source in self.sources:
            for _ in range(self._count(source, at)):
                text = source.pattern.format_map(self._filling)
                lines.append(LogLine(at + self._rng.random() * INTERVAL, (source.service, ""), source.level, text))
        return lines

    def unseen(self, service: str, rate: float) -> Source:
        """An error that the service never wrote."""
        known = {source.pattern for source in self.sources if source.service == service}
        level, pattern = self._rng.choice([one for one in UNSEEN if one[1] not in known])
        return Source(service, level, pattern, rate)

    def _count(self, source: Source, at: float) -> int:
        by_day = 1.0 + 0.6 * math.sin(2 * math.pi * (at / DAY - 0.3))
        mean = source.rate * source.factor * by_day * INTERVAL
        if source.burst:
            mean *= self._rng.gammavariate(source.burst, 1.0 / source.burst)
        return _poisson(self._rng, mean)

    def _rare_errors(self, at: float) -> None:
        """Healthy new errors: a word nobody wrote before, for some minutes."""
        self._rare = [(until, source) for until, source in self._rare if self._keep(until, source, at)]
        for service in SERVICES:
            if self._rng.random() < NEW_ERRORS_A_DAY * INTERVAL / DAY:
                word = "".join(self._rng.choices("bcdfghjklmnpqrstvwz", k=8))
                source = Source(
                    service, "error", f"unexpected value {word} in field {word[::-1]} of request {{uuid}}", 0.02
                )
                self.sources.append(source)
                self._rare.append((at + self._rng.expovariate(1 / 300.0), source))

    def _keep(self, until: float, source: Source, at: float) -> bool:
        if at < until:
            return True
        self.sources.remove(source)
        return False


def _poisson(rng: random.Random, mean: float) -> int:
    """A Poisson variate: by multiplication (Knuth), and by a normal above 50."""
    if mean > 50.0:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
