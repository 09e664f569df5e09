"""Freeze windows as instants: time zones, windows that pass midnight, and the days on which clocks change.

A window begins with the first instant at which the wall clock of its zone shows its beginning, and ends with the last
at which it shows its end: an hour that comes twice is frozen twice. A time that a clock change leaves out is the
moment of that change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import get_args
from zoneinfo import ZoneInfo

from service.guard_settings import Day, Freeze

_DAYS: tuple[Day, ...] = get_args(Day)
# The days whose windows may hold an instant: a window is at most a day long, and a zone may skip a day.
_NEAR = range(-3, 2)


def frozen(freezes: Sequence[Freeze], environment: str, service: str, now: datetime) -> tuple[Freeze, datetime] | None:
    """The freeze that holds now, and when nothing will be frozen any more: windows may follow each other."""
    concerned = [freeze for freeze in freezes if _concerns(freeze, environment, service)]
    first: Freeze | None = None
    until = now
    # Windows without a gap between them on every day never end: a year of them is enough to tell.
    while until - now < timedelta(days=366):
        holding = [(freeze, end) for freeze in concerned for start, end in _windows(freeze, until) if end > until]
        if not holding:
            break
        first = first or holding[0][0]
        until = max(end for _, end in holding)
    return (first, until) if first else None


def _concerns(freeze: Freeze, environment: str, service: str) -> bool:
    return any(fnmatchcase(environment, glob) for glob in freeze.environments) and any(
        fnmatchcase(service, glob) for glob in freeze.services
    )


def _windows(freeze: Freeze, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The windows that hold at an instant: start and end, the end not included."""
    for start, end in _near(freeze, at):
        if start <= at < end:
            yield start, end


def _near(freeze: Freeze, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    zone = ZoneInfo(freeze.timezone)
    if freeze.start is not None and freeze.end is not None:
        yield _written(freeze.start, zone, last=False), _written(freeze.end, zone, last=True)
        return
    today = at.astimezone(zone).date()
    for day in (today + timedelta(days=offset) for offset in _NEAR):
        if _DAYS[day.weekday()] in freeze.days:
            yield _weekly(freeze, day, zone)


def _weekly(freeze: Freeze, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    begins, ends = freeze.from_ or time(), freeze.to or time()
    last_day = day if ends > begins else day + timedelta(days=1)
    return (
        _instant(datetime.combine(day, begins), zone, last=False),
        _instant(datetime.combine(last_day, ends), zone, last=True),
    )


def _written(at: datetime, zone: ZoneInfo, *, last: bool) -> datetime:
    return _utc(at) if at.tzinfo is not None else _instant(at, zone, last=last)


def _utc(at: datetime) -> datetime:
    """The same instant in UTC. Who writes the year 9999 means for ever: that ends with the calendar."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return (datetime.min if at.year == 1 else datetime.max).replace(tzinfo=UTC)


def _instant(wall: datetime, zone: ZoneInfo, *, last: bool) -> datetime:
    """When a wall clock of the zone shows that time: the first or the last such instant."""
    early, late = sorted(_utc(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if _wall(early, zone) == wall:
        return late if last else early
    # It never shows it: the clock jumps over it somewhere between the two, which are whole seconds.
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early).total_seconds() // 2)
        early, late = (middle, late) if _wall(middle, zone) < wall else (early, middle)
    return late


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)
