"""Times in JSON that others send: read, and held against now and what is kept."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

from models.domain.base import format_duration

MAX_AHEAD = timedelta(minutes=10)
"""How far in the future a sample may lie: clocks differ, but a later one would hide what comes meanwhile."""

# RFC 3339, section 5.6
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def read_instant(given: object, now: datetime, retention: timedelta) -> float:
    """Unix seconds of RFC 3339 with a zone or of unix seconds, from `now - retention` to MAX_AHEAD.

    Raises ValueError with words for the sender.
    """
    at = _seconds(given)
    ahead = at - now.timestamp()
    if ahead > MAX_AHEAD.total_seconds():
        hint = " (unix time is taken in seconds)" if isinstance(given, int | float) else ""
        raise ValueError(f"{ahead:.0f} s in the future, more than {MAX_AHEAD.total_seconds():.0f} s{hint}")
    if -ahead > retention.total_seconds():
        raise ValueError(f"longer ago than the {format_duration(retention)} that samples are kept")
    return at


def as_float(number: float) -> float:
    """The number as a float. Raises ValueError where it is too large."""
    try:
        return float(number)
    except OverflowError:
        raise ValueError("a number beyond the largest float") from None


def _seconds(given: object) -> float:
    if isinstance(given, str) and _RFC3339.fullmatch(given):
        try:
            return datetime.fromisoformat(given.upper()).timestamp()
        except ValueError as error:
            raise ValueError(f"no such time: {error}") from error
    if isinstance(given, int | float) and not isinstance(given, bool):
        seconds = as_float(given)
        if math.isfinite(seconds):
            return seconds
    raise ValueError("write RFC 3339 with a zone (2026-01-31T12:00:00Z) or unix seconds")
