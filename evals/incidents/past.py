"""The past as a source: the telemetry of one labelled incident, answered as it would have been at that moment."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from evals.incidents.format import LabelledIncident, Series
from models.domain.base import Labels
from models.domain.errors import Unavailable
from models.domain.signal import Sample
from service.promql import evaluate


class Past:
    """A source and a clock that stand at one labelled incident after the other.

    A query is answered by the same PromQL as the embedded source's; nothing later than the incident's moment is seen.
    An incident without telemetry has no answer: what was not recorded is not known, where no data would be an answer.
    """

    name = "past"

    def __init__(self) -> None:
        self._moment = datetime.fromtimestamp(0, UTC)
        self._recorded: _Recorded | None = None

    def go_to(self, row: LabelledIncident) -> None:
        """Stand at the moment of that incident."""
        self._moment, series = row.moment, row.telemetry.series
        self._recorded = _Recorded(series, row.moment) if series else None

    def clock(self) -> datetime:
        """The moment."""
        return self._moment

    def query(self, expression: str, at: datetime) -> list[Sample]:
        """The instant vector of a PromQL expression. Raises BadInput (cannot be asked) or Unavailable (unknown)."""
        if self._recorded is None:
            raise Unavailable("no telemetry was recorded with the incident")
        return evaluate(expression, self._recorded, at)

    def healthy(self) -> bool:
        """It always answers what it can."""
        return True


class _Recorded:
    """Series in memory, up to a moment, as the reader that PromQL asks. Times are milliseconds, as in the store."""

    def __init__(self, series: Sequence[Series], until: datetime) -> None:
        self._series: list[tuple[Labels, list[int], list[float]]] = []
        for one in series:
            times = [_milliseconds(at) for at in one.at]
            seen = bisect.bisect_right(times, _milliseconds(until.timestamp()))
            values = [math.nan if value is None else value for value in one.values[:seen]]
            self._series.append((one.labels, times[:seen], values))

    def select(
        self, matches: Callable[[Labels], bool], start: datetime, end: datetime, metric: str | None = None
    ) -> Iterator[tuple[Labels, list[tuple[float, float]]]]:
        """Series whose labels match, with their samples from `start` to `end`, both included."""
        low, high = _milliseconds(start.timestamp()), _milliseconds(end.timestamp())
        for labels, times, values in self._series:
            if metric not in (None, labels.get("__name__")) or not matches(labels):
                continue
            first, last = bisect.bisect_left(times, low), bisect.bisect_right(times, high)
            if first < last:
                yield (
                    labels,
                    [(at / 1000, value) for at, value in zip(times[first:last], values[first:last], strict=True)],
                )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
