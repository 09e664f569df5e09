"""What an objective counts: how many events there were in a slot of time, and how many of them were bad."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.detection.slo.burn import Counts
from models.detection.slo.counters import Reading, grown, reading
from models.detection.slo.objective import Latency, Objective
from models.domain.errors import BadInput
from service.ports import Source

MOST_SERIES = 20_000
"""Of one selector: they are read every minute."""


class NoData(Exception):
    """Nothing matches now: the slot cannot be counted. The message says what."""


@dataclass(frozen=True)
class _Indicator:
    total: str
    part: str
    part_is_good: bool
    part_must_exist: str | None
    """What to say where `total` matches and `part` does not; None where that means none."""


@dataclass(frozen=True)
class Readings:
    """All counters of an objective at one instant."""

    at: datetime
    total: Reading
    part: Reading


def selectors_of(objective: Objective) -> list[tuple[str, str]]:
    """The selectors that a person wrote, by the name of their field."""
    if objective.latency is not None:
        return [("histogram", objective.latency.histogram)]
    one = objective.availability
    assert one is not None
    fields = (("total", one.total), ("good", one.good), ("errors", one.errors))
    return [(name, selector) for name, selector in fields if selector is not None]


def read(objective: Objective, source: Source, at: datetime) -> Readings:
    """The counters at `at`. Raises NoData, BadInput (cannot be asked) or Unavailable (no answer)."""
    indicator = _indicator(objective)
    total = _ask(source, indicator.total, at)
    if not total:
        raise NoData(f"no series matches {indicator.total}")
    part = _ask(source, indicator.part, at)
    if not part and indicator.part_must_exist:
        raise NoData(indicator.part_must_exist)
    return Readings(at=at, total=total, part=part)


def counted(objective: Objective, before: Readings, after: Readings) -> Counts:
    """The events between two readings."""
    total, part = grown(before.total, after.total), grown(before.part, after.part)
    bad = total - part if _indicator(objective).part_is_good else part
    return Counts(total=total, bad=min(max(bad, 0.0), total))


def history(objective: Objective, source: Source, start: datetime, end: datetime) -> Counts | None:
    """The events of a span that is over, as the source's `increase` has it; None where it knows nothing of it."""
    indicator = _indicator(objective)
    span = f"[{round((end - start).total_seconds())}s]"
    total, part = (source.query(f"sum(increase({text}{span}))", end) for text in (indicator.total, indicator.part))
    if not total or (not part and indicator.part_must_exist):
        return None
    events, some = total[0].value, part[0].value if part else 0.0
    bad = events - some if indicator.part_is_good else some
    return Counts(total=events, bad=min(max(bad, 0.0), events))


def _ask(source: Source, selector: str, at: datetime) -> Reading:
    samples = source.query(selector, at)
    if len(samples) > MOST_SERIES:
        raise BadInput(
            f"{selector} matches {len(samples):,} series; {MOST_SERIES:,} at most: sum them by a recording rule"
        )
    return reading(samples)


def _indicator(objective: Objective) -> _Indicator:
    if objective.latency is not None:
        return _latency(objective.latency)
    one = objective.availability
    assert one is not None
    return _Indicator(one.total, one.good or one.errors or "", one.good is not None, None)


def _latency(latency: Latency) -> _Indicator:
    bound = latency.threshold
    # `1` and `1.0` are written by different client libraries.
    bounds = "|".join(dict.fromkeys(text.replace(".", "\\\\.") for text in (f"{bound:g}", str(float(bound)))))
    missing = f'{latency.histogram} has no bucket le="{bound:g}"; a threshold must be one of its bounds'
    return _Indicator(
        _bucket(latency.histogram, 'le="+Inf"'), _bucket(latency.histogram, f'le=~"{bounds}"'), True, missing
    )


def _bucket(histogram: str, bound: str) -> str:
    name, brace, rest = histogram.strip().partition("{")
    matchers = rest.rstrip().removesuffix("}").strip().removesuffix(",") if brace else ""
    return f"{name.strip()}_bucket{{{matchers}{', ' if matchers else ''}{bound}}}"
