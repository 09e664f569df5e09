"""What every domain type shares: immutability, strict fields, UTC times, durations, identifiers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

Clock = Callable[[], datetime]
"""Returns the current time, in UTC. Passed in everywhere, so that tests decide what time it is."""

Labels = dict[str, str]
"""The labels of a series or a signal, `__name__` included where there is a metric."""


class Frozen(BaseModel):
    """Base of the domain types: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="strings")


class Severity(StrEnum):
    """How bad it is, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical."""
        return list(Severity).index(self)


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> timedelta:
    """A duration such as `90s`, `1h30m` or `250ms`.

    Raises ValueError on anything else; a bare number is refused because its unit would be a guess.
    """
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{text!r} is not a duration; write for example 90s, 5m or 1h30m")
    return timedelta(seconds=sum(float(n) * _UNIT_SECONDS[u] for n, u in _DURATION.findall(text)))


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same duration (to the millisecond)."""
    left = round(duration.total_seconds() * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)]
"""A timedelta that reads and writes the `90s` form."""

Time = AwareDatetime
"""An instant; a time without a zone is refused."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, so hashes of it can be compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_hex(text: str) -> str:
    """The SHA-256 of the text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
