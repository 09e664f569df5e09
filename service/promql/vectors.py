"""What expressions evaluate to: a float (scalar), a list of elements (instant vector), a list of windows (range)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.domain.base import Labels
from models.domain.errors import BadInput


@dataclass(frozen=True, slots=True)
class Element:
    """One series of an instant vector. `at`, in unix milliseconds, is its sample's time where it was selected."""

    labels: Labels
    value: float
    at: int


Vector = list[Element]


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of one series in a range: `times` in unix milliseconds, oldest first, one or more."""

    labels: Labels
    times: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Windows:
    """A range vector: what lies after `start` and not after `end`, in unix milliseconds."""

    start: int
    end: int
    series: list[Window]


Value = float | Vector | Windows


def without_name(labels: Labels) -> Labels:
    """The labels of a series that is no longer the metric it came from."""
    return {name: value for name, value in labels.items() if name != "__name__"}


def identity(labels: Labels) -> frozenset[tuple[str, str]]:
    """Equal for equal label sets."""
    return frozenset(labels.items())


def distinct(elements: Iterable[Element], part: str) -> Vector:
    """The elements as a vector. Raises BadInput where two of them ended with the same labels."""
    seen: dict[frozenset[tuple[str, str]], Element] = {}
    for element in elements:
        key = identity(element.labels)
        if key in seen:
            raise BadInput(f"PromQL: {part} would give two series with the same labels {element.labels}")
        seen[key] = element
    return list(seen.values())
