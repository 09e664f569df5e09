"""Which row of the state each sample of a batch belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detection.meaning import Kind, kind_of
from models.detection.state import SeriesTable, Slots
from models.domain.base import Labels

_OWNER_LABELS = ("job", "service", "process", "instance", "environment")


@dataclass(frozen=True)
class Layout:
    """The rows of one tuple of series."""

    series: tuple[Labels, ...]
    slots: Slots
    """Rows of the m series that are scored, shape [m], each once."""
    positions: NDArray[np.intp]
    """Where in the batch each of them stands, shape [m]."""
    siblings: NDArray[np.intp]
    """Where in the batch the `_count` of each sum stands, -1 where there is none, shape [m]."""
    families: frozenset[str]
    refused: int
    """Series for which there was no room."""


def family_key(labels: Labels) -> str:
    """The metric of one target: series of it differ in further labels only."""
    return "|".join([labels.get("__name__", ""), *(labels.get(key, "") for key in _OWNER_LABELS)])


def lay_out(series: tuple[Labels, ...], table: SeriesTable, settled: set[str], max_series: int) -> tuple[Layout, Slots]:
    """Rows for `series`, adding new ones to `table` up to `max_series`; and the rows of counters that were born.

    Those came into being after their family, one of `settled`, was known: they stood at 0 until now. Of a series that
    stands twice in a batch the last sample counts.
    """
    places: dict[int, int] = {}
    born: list[int] = []
    refused = 0
    for position, labels in enumerate(series):
        name = labels.get("__name__", "")
        if kind_of(name) is Kind.SKIPPED:
            continue
        slot = table.slot(labels)
        if slot is None:
            if len(table) >= max_series:
                refused += 1
                continue
            slot = table.add(labels)
            if kind_of(name) is Kind.COUNTER and family_key(labels) in settled:
                born.append(slot)
        places[slot] = position
    layout = Layout(
        series=series,
        slots=np.fromiter(places.keys(), dtype=np.intp, count=len(places)),
        positions=np.fromiter(places.values(), dtype=np.intp, count=len(places)),
        siblings=_siblings(series, places),
        families=frozenset(family_key(series[position]) for position in places.values()),
        refused=refused,
    )
    return layout, np.array(born, dtype=np.intp)


def _siblings(series: tuple[Labels, ...], places: dict[int, int]) -> NDArray[np.intp]:
    """For each place, where the `_count` of a `_sum` stands in the batch."""
    counts = {
        _identity(labels, "_count"): position
        for position, labels in enumerate(series)
        if labels.get("__name__", "").endswith("_count")
    }
    found = (
        counts.get(_identity(series[position], "_sum"), -1)
        if counts and series[position].get("__name__", "").endswith("_sum")
        else -1
        for position in places.values()
    )
    return np.fromiter(found, dtype=np.intp, count=len(places))


def _identity(labels: Labels, suffix: str) -> frozenset[tuple[str, str]]:
    return frozenset({**labels, "__name__": labels["__name__"].removesuffix(suffix)}.items())
