"""When an error that was never seen is worth a signal: by how often this service brings new ones in health.

After the learning period each new error template that comes `new_lines` times within W (`new_within`) is a *birth*. In
health, births are taken for a Poisson process whose rate is the service's own: (births + 1) / time watched, Laplace's
rule of succession, over the last week. p = 1 - exp(-rate · W) is the probability that a healthy service has a birth
within W. At p of ALONE or less the signal may open an incident by itself, at WAITS or less it is kept as one testimony
(severity info), above that it is only counted.

What that bounds: a healthy service with r births a day gives at most r signals a day, each once, and none that opens
alone while the estimate is above -ln(1 - ALONE) / W, which for 10 minutes is 7.4 a day. A service without births needs
3.3 hours of watching after the learning period before the first signal can open alone (one in 14 minutes can wait). A
service that thrashes, with more templates than are kept, has a high rate and gives none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from models.detection.logs.config import LogSettings

ALONE = 0.05
WAITS = 0.5
MEMORY = 7 * 86_400.0
"""Seconds of record: new releases come about weekly, and last month's service is another one."""
BIRTHS_AT_MOST = 1000
TOLD_FOR = 3600.0
"""Seconds for which a birth is told of again while its lines go on."""
WATCHED_AT_MOST = 500


@dataclass
class Newcomer:
    """An error template that came after the learning period."""

    first_at: float
    p: float | None = None
    """Set when it was born: how probable a birth was in health."""


@dataclass
class Novelty:
    """The record of one service. Times are unix seconds."""

    since: float
    """Of its first line."""
    births: list[float] = field(default_factory=list)
    watched: dict[int, Newcomer] = field(default_factory=dict)
    """Newcomers by template."""

    def learning(self, at: float, settings: LogSettings) -> bool:
        """Whether what is new now is only learnt."""
        return at - self.since < settings.learn.total_seconds()

    def arrived(self, template: int, at: float) -> None:
        """A new error template came, after the learning period."""
        if len(self.watched) >= WATCHED_AT_MOST:
            del self.watched[next(iter(self.watched))]
        self.watched[template] = Newcomer(at)

    def judge(self, template: int, count: int, at: float, settings: LogSettings) -> Newcomer | None:
        """What is known of a newcomer with `count` lines by now; None where it is none, or not born yet."""
        found = self.watched.get(template)
        if found is None:
            return None
        age = at - found.first_at
        if age > (TOLD_FOR if found.p is not None else settings.new_within.total_seconds() + 60.0):
            del self.watched[template]
            return None
        if found.p is None and count >= settings.new_lines:
            found.p = self._p_value(at, settings)
            self.births = [*(born for born in self.births if at - born <= MEMORY), at][-BIRTHS_AT_MOST:]
        return found if found.p is not None else None

    def _p_value(self, at: float, settings: LogSettings) -> float:
        watching = min(at - self.since - settings.learn.total_seconds(), MEMORY)
        recent = sum(at - born <= MEMORY for born in self.births)
        rate = (recent + 1) / max(watching, 1.0)
        return 1.0 - math.exp(-rate * settings.new_within.total_seconds())

    def dump(self) -> list[Any]:
        """As JSON."""
        return [self.since, self.births, [[one, new.first_at, new.p] for one, new in self.watched.items()]]

    @classmethod
    def restored(cls, state: list[Any]) -> Novelty:
        """The inverse of `dump`."""
        since, births, watched = state
        return cls(since, list(births), {int(one): Newcomer(first, p) for one, first, p in watched})
