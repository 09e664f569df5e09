"""What people say of anomalies, as a tolerance of the class of series that they belong to.

A class is the series of one metric family of one service. Its tolerance multiplies the scale by which departures are
measured: at 1.5 the band is half again as wide, and what lies outside must be half again as far away to count the same.
Each "not an incident" widens it by `STEP`, each "right" narrows it; between `AT_LEAST` and `AT_MOST`, so no class is
ever deaf: what departs `AT_MOST` times as far as usual is found as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol, runtime_checkable

from models.detection.meaning import family_of
from models.domain.base import Frozen, Labels, Time

STEP = 1.5
AT_LEAST, AT_MOST = 0.8, 3.0


class Verdict(StrEnum):
    """A person's word on an incident that anomalies opened or joined."""

    RIGHT = "right"
    NOT_AN_INCIDENT = "not-an-incident"


class SeriesClass(Frozen):
    """The series of one metric family (`_sum`, `_count` and `_total` left out) of one service."""

    family: str
    service: str
    """By the label `service`, else `job`; empty where a series has neither."""


Tolerances = Mapping[SeriesClass, float]


def class_of(labels: Labels) -> SeriesClass:
    """The class of a series."""
    service = labels.get("service") or labels.get("job") or ""
    return SeriesClass(family=family_of(labels.get("__name__", "")), service=service)


def tolerance_of(verdicts: Iterable[Verdict]) -> float:
    """The tolerance that verdicts in force give their class; their order does not matter."""
    widened = sum(1 if verdict is Verdict.NOT_AN_INCIDENT else -1 for verdict in verdicts)
    return min(max(STEP**widened, AT_LEAST), AT_MOST)


class Explanation(Frozen):
    """What a detector knows of one series, after its last sample. Bands and values are in the series' own unit."""

    labels: Labels
    last_at: Time | None
    """None where it had no sample yet."""
    observed: float | None
    """The last observed quantity: the value of a gauge, the rate of a counter, the mean of a sum; None: not yet."""
    expected: float
    lower: float
    upper: float
    """What is expected of the next sample."""
    score: float
    """The sum of departures in scales, which lasting ones build up."""
    p_value: float
    threshold: float
    """The p-value at which false-discovery control would report this series, were it the only one of its tick."""
    component: str
    """Which part of the score speaks, and which forecast it stands on."""
    scored: int
    """Values that its state is made of."""
    warming_up: bool
    departs_for: int
    """Ticks that the present departure has held; negative: downwards."""
    reported: bool
    """It is an anomaly now."""
    tolerance: float
    """1 without feedback."""


class Summary(Frozen):
    """What a detector tells of all its series together."""

    series: int
    max_series: int
    """The cap; further series are not scored."""
    reported: int
    """Series that are anomalies now."""
    warming_up: int


@runtime_checkable
class Tunable(Protocol):
    """What a detector does besides that takes feedback and explains itself."""

    def tune(self, tolerances: Tolerances) -> None:
        """Use these for the series of their classes, and 1 for all others, from the next tick on."""

    def explain(self, slots: Iterable[int]) -> list[Explanation]:
        """What it knows of series, by their places in `known`."""

    def summary(self) -> Summary:
        """All series together."""

    def known(self) -> list[Labels]:
        """The labels of all series that it holds."""
