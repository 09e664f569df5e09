"""Measures whether a condition holds: once for preconditions, over time for the verification of an action."""

from __future__ import annotations

import math
import operator
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from models.domain.base import Clock, Labels
from models.domain.errors import BadInput, Unavailable
from models.domain.execution import CheckResult, Health, Verification
from models.domain.runbook import Check
from models.domain.signal import Sample
from service.http_reading import status_of
from service.ports import Source

if TYPE_CHECKING:
    import httpx

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
READING_SECONDS = 5.0
"""Longest wait for the answer of an `http` or `sql` check. That of a query is a setting of its source."""
_SHORTEST_SLEEP = 0.01
"""Seconds. A clock that is a hair behind the timer must not turn the wait into a busy loop."""
_MOST_VALUES = 20
"""Values that a result keeps: it is stored, and shown in a ticket."""


@dataclass(frozen=True)
class Comparison:
    """The `is` of a check. NaN satisfies none, not even `!=`: no number is no evidence."""

    operator: str
    number: float

    @classmethod
    def parse(cls, text: str) -> Comparison:
        """From `== 1` or `> 0.95`. Raises BadInput."""
        match = re.fullmatch(r"\s*(==|!=|<=|>=|<|>)\s*(\S+)\s*", text)
        try:
            if match:
                return cls(match[1], float(match[2]))
        except ValueError:
            pass  # the same words as for a wrong operator
        raise BadInput(f"{text!r} is not a comparison; write for example == 1 or > 0.95")

    def holds(self, value: float) -> bool:
        """Whether the value satisfies it."""
        return not math.isnan(value) and _OPERATORS[self.operator](value, self.number)


class SqlReader(Protocol):
    """Answers `sql` checks, which name a statement of the settings. Nothing here knows how a database is reached."""

    def read(self, name: str, at: datetime, seconds: float = READING_SECONDS) -> list[Sample]:
        """The rows of the statement `DATABASE/STATEMENT` now, each as a sample at `at`: its one numeric column is the
        value (NaN for NULL), the others are labels. Changes nothing. Waits for `seconds` at most. Raises BadInput
        (cannot be asked) or Unavailable (no answer).
        """


@runtime_checkable
class ReadsSql(Protocol):
    """What can answer `sql` checks beside what else it does, as the executor of that name can."""

    sql_reader: SqlReader


def measure(
    check: Check,
    source: Source,
    *,
    clock: Clock,
    http: httpx.Client | None = None,
    sql: SqlReader | None = None,
    seconds: float = READING_SECONDS,
) -> CheckResult:
    """The answer to one check now.

    Passed where at least one value came and every one satisfies the condition; not passed without data; None, with
    the reason, where it could not be asked. The value of an `http` check is the status of a GET, redirects not
    followed; `http` is the client for it, by default one of its own. Without `sql` no `sql` check can be asked. Both
    wait for `seconds` at most.
    """
    at = clock()
    try:
        comparison = Comparison.parse(check.condition)
        samples = _samples(check, source, at, http, sql, min(seconds, READING_SECONDS))
    except (Unavailable, BadInput) as error:
        return _result(check, at, None, (), str(error))
    if not samples:
        return _result(check, at, False, (), "no data")
    failing = [sample for sample in samples if not comparison.holds(sample.value)]
    values = tuple(sample.value for sample in samples if math.isfinite(sample.value))
    return _result(check, at, not failing, values[:_MOST_VALUES], _detail(samples, failing))


def verify(
    checks: Sequence[Check],
    source: Source,
    *,
    clock: Clock,
    sleep: Callable[[float], None],
    monotonic: Callable[[], float] = time.monotonic,
    interval: timedelta = timedelta(seconds=2),
    http: httpx.Client | None = None,
    sql: SqlReader | None = None,
) -> Verification:
    """Measure every `interval` until all checks are true, each for its `hold` without a gap, up to now.

    A check must be true from its `within` (counted from the start) on; before that, a gap starts its hold anew. One
    that is false after its `within` ends it: not healthy. One that cannot be measured then: unknown. So is the answer
    without any check. Takes the longest `within` plus the longest `hold` at most, and the time of one round of
    queries. The results are those of the last round. `sleep` takes seconds. Raises ValueError on an interval of 0.

    `monotonic` gives seconds and alone decides how long anything takes; `clock` says when a result was measured, and
    may be set forward or back meanwhile.
    """
    if interval <= timedelta(0):
        raise ValueError("the interval must be above 0")
    start = monotonic()

    def elapsed() -> timedelta:
        return timedelta(seconds=monotonic() - start)  # to the microsecond: sums of floats would end a hair early

    watches = [_Watch(check) for check in checks]
    while True:
        results = tuple(
            watch.take(elapsed(), measure(watch.check, source, clock=clock, http=http, sql=sql)) for watch in watches
        )
        health = _verdict(watches)
        now = elapsed()
        if health is not None:
            return Verification(health=health, checks=results, took=now)
        # Not past the next instant that decides something, so that `within` and `hold` end when they say.
        wake = min([now + interval, *(watch.next_instant for watch in watches if not watch.held)])
        sleep(max(_SHORTEST_SLEEP, (wake - now).total_seconds()))


@dataclass
class _Watch:
    """One check under verification. Times are counted from its start. `since`: from when it was true at every
    measurement; None: it is not.
    """

    check: Check
    since: timedelta | None = None
    held: bool = False
    failed: Health | None = None

    def take(self, at: timedelta, result: CheckResult) -> CheckResult:
        if result.passed:
            self.since = at if self.since is None else self.since
            self.held = at - self.since >= self.check.hold
            return result
        self.since, self.held = None, False
        if at >= self.check.within:
            self.failed = Health.UNKNOWN if result.passed is None else Health.NOT_HEALTHY
        return result

    @property
    def next_instant(self) -> timedelta:
        return self.check.within if self.since is None else self.since + self.check.hold


def _verdict(watches: Sequence[_Watch]) -> Health | None:
    """None: not decided yet. One that is surely bad weighs more than one that is not known."""
    failures = {watch.failed for watch in watches}
    if Health.NOT_HEALTHY in failures:
        return Health.NOT_HEALTHY
    if Health.UNKNOWN in failures or not watches:
        return Health.UNKNOWN
    return Health.HEALTHY if all(watch.held for watch in watches) else None


def _samples(
    check: Check, source: Source, at: datetime, http: httpx.Client | None, sql: SqlReader | None, seconds: float
) -> list[Sample]:
    if check.query is not None:
        return source.query(check.query, at)
    if check.http is not None:
        return [Sample(labels={"http": check.http}, at=at, value=status_of(check.http, http, seconds))]
    if sql is None:
        raise BadInput("sql checks need a section executors.sql in the settings, with the database and the statement")
    return sql.read(check.subject, at, seconds)


def _detail(samples: Sequence[Sample], failing: Sequence[Sample]) -> str:
    shown = (failing or samples)[0]
    words = f"{shown.value:g}{_series(shown.labels)}"
    return f"{words}; {len(failing)} of {len(samples)} fail" if failing and len(samples) > 1 else words


def _series(labels: Labels) -> str:
    pairs = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f" for {labels.get('__name__', '')}{{{pairs}}}" if labels else ""


def _result(check: Check, at: datetime, passed: bool | None, values: tuple[float, ...], detail: str) -> CheckResult:
    return CheckResult(
        subject=check.subject, condition=check.condition, passed=passed, values=values, detail=detail, at=at
    )
