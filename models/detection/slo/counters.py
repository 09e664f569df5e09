"""What counters grew by between two readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models.domain.base import Labels
from models.domain.signal import Sample

Reading = Mapping[frozenset[tuple[str, str]], float]
"""Counters at one instant, by their labels."""


def reading(samples: Iterable[Sample]) -> dict[frozenset[tuple[str, str]], float]:
    """The counters of an instant vector; what is no finite number is no reading."""
    return {
        _key(sample.labels): sample.value for sample in samples if sample.value - sample.value == 0
    }  # inf - inf and nan - nan are no 0


def grown(before: Reading, after: Reading) -> float:
    """By how much the counters grew, all together.

    One that fell was reset and counts from 0, as in Prometheus's `increase`. One that was not there before is only
    read: whether it counted since then or for years cannot be told. So let counters begin at 0.
    """
    return sum(_growth(before[key], value) for key, value in after.items() if key in before)


def _growth(before: float, after: float) -> float:
    return after - before if after >= before else after


def _key(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
