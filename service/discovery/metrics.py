"""Calls between services from counters that name both ends: service graphs made of traces, service meshes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from models.domain.base import Clock
from models.domain.errors import SutureError, Unavailable
from service.discovery.book import TopologyBook
from service.discovery.settings import CallMetric
from service.ports import Source
from service.store.topology import Ends

EVERY = timedelta(minutes=1)
_WINDOW = 5
"""Minutes over which calls are counted: slow scrapes have two samples in it."""


class MetricDiscovery:
    """Asks the source for calls."""

    def __init__(self, metrics: Sequence[CallMetric], source: Source | None, book: TopologyBook, clock: Clock) -> None:
        self._metrics = metrics
        self._source = source
        self._book = book
        self._clock = clock

    def tick(self) -> None:
        """Ask for each metric once. Raises Unavailable where one could not be asked; the others were kept."""
        failed: list[str] = []
        for each in self._metrics if self._source is not None else ():
            try:
                self._book.add(self._calls(each), "metrics")
            except SutureError as error:
                failed.append(f"{each.metric}: {error}")
        if failed:
            raise Unavailable(f"dependencies could not be looked for: {'; '.join(failed)}")

    def _calls(self, of: CallMetric) -> dict[Ends, float]:
        assert self._source is not None
        expression = f"sum by ({of.caller}, {of.callee}) (increase({of.metric}[{_WINDOW}m])) / {_WINDOW} > 0"
        answer = self._source.query(expression, self._clock())
        return {
            (sample.labels.get(of.caller, ""), sample.labels.get(of.callee, "")): sample.value
            for sample in answer
            if math.isfinite(sample.value)
        }
