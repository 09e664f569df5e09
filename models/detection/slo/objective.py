"""An objective as a person writes it: what counts as good, how much of it there must be, over how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from models.domain.base import Duration, Frozen, Labels, Severity, canonical_json, format_duration, sha256_hex

SLOT = timedelta(minutes=1)
"""What is counted together: the finest window that can be asked about."""
MINUTES_KEPT = timedelta(days=1)
"""Windows up to this long are summed from minutes, longer ones from whole hours: of 3 days up to 1 hour is left out."""
_WORKBOOK_WINDOW = timedelta(days=30)
_HIGHEST_SHARE = 0.8
"""Where the budget is so large that even an outage burns it slower than a factor says: the share of requests that must
fail for the alert, in its place. (A target of 90 % burns at 10 at most, and 14.4 would never be reached.)"""


def _share(value: object) -> object:
    """`99.9%` is 0.999. A number alone is a share: 99.9 is refused by the bounds."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(Fraction(value.strip()[:-1].strip()) / 100)
    return value


Selector = Annotated[str, Field(min_length=1, max_length=2000)]


class Availability(Frozen):
    """The share of events that are good. `total` and one of `good` or `errors`: selectors of counters."""

    total: Selector
    good: Selector | None = None
    errors: Selector | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.good is None) == (self.errors is None):
            raise ValueError("needs good or errors, one of them, beside total")
        return self


class Latency(Frozen):
    """The share of requests that took no longer than `threshold`, by the buckets of a histogram.

    `histogram`: a selector of it, without `_bucket`. `threshold`: in the histogram's unit (seconds as a rule); one of
    its bucket bounds, since nothing is known between two of them.
    """

    histogram: Selector
    threshold: Annotated[FiniteFloat, Field(gt=0)]


class BurnAlert(Frozen):
    """Fires where the budget burned at `factor` or more over both windows: the long one says that it matters, the short
    one that it still goes on.
    """

    factor: Annotated[FiniteFloat, Field(gt=0)]
    long: Duration
    short: Duration
    page: bool
    """Whether a person is wanted at once; else it is a ticket."""

    @model_validator(mode="after")
    def _windows(self) -> Self:
        for name, span in (("long", self.long), ("short", self.short)):
            if span < SLOT or span % SLOT:
                raise ValueError(f"{name} must be whole minutes, 1m or more")
        if self.short >= self.long:
            raise ValueError("short must be shorter than long")
        if self.short > MINUTES_KEPT:
            raise ValueError(f"short must be {format_duration(MINUTES_KEPT)} at most")
        return self


WORKBOOK = (
    BurnAlert(factor=14.4, long=timedelta(hours=1), short=timedelta(minutes=5), page=True),
    BurnAlert(factor=6, long=timedelta(hours=6), short=timedelta(minutes=30), page=True),
    BurnAlert(factor=3, long=timedelta(days=1), short=timedelta(hours=2), page=False),
    BurnAlert(factor=1, long=timedelta(days=3), short=timedelta(hours=6), page=False),
)
"""Of a budget for 30 days that is 2 % in an hour, 5 % in six, 10 % in a day, 10 % in three. Source: The Site
Reliability Workbook (Google, 2018), chapter 5 "Alerting on SLOs", part 6 "Multiwindow, Multi-Burn-Rate Alerts"
(https://sre.google/workbook/alerting-on-slos/)."""


class LowTraffic(Frozen):
    """What must have happened within an alert's long window before it may fire.

    At ten requests an hour one failure burns a budget of 0.1 % at 100: no evidence of anything.
    """

    events: Annotated[int, Field(ge=1)] = 20
    errors: Annotated[int, Field(ge=1)] = 3


class Objective(Frozen):
    """One objective. `target` is the share of good events in (0, 1), or `99.9%`; `window` is over how long it holds."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    title: str = Field(default="", max_length=200)
    service: str = Field(min_length=1, max_length=200)
    labels: Labels = Field(default_factory=dict)
    target: Annotated[float, BeforeValidator(_share), Field(gt=0, lt=1)]
    window: Duration = _WORKBOOK_WINDOW
    availability: Availability | None = None
    latency: Latency | None = None
    severity: Severity = Severity.CRITICAL
    """Of what pages; a ticket is a warning at most."""
    low_traffic: LowTraffic = LowTraffic()
    alerts: tuple[BurnAlert, ...] | None = Field(default=None, min_length=1, max_length=8)
    """In place of the workbook's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.availability is None) == (self.latency is None):
            raise ValueError("needs availability or latency, one of them")
        if not timedelta(hours=1) <= self.window <= timedelta(days=90):
            raise ValueError("window must be between 1h and 90d")
        for alert in self.alerts or ():
            if alert.long > self.window:
                raise ValueError(f"an alert over {format_duration(alert.long)} is longer than the window")
            if alert.factor * self.budget > 1:
                raise ValueError(
                    f"factor {alert.factor:g} can never be reached: where everything fails the budget of "
                    f"{self.budget:.4g} burns at {1 / self.budget:.4g}"
                )
        return self

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return 1 - self.target

    @property
    def name(self) -> str:
        """For people: the title, else the id."""
        return self.title or self.id

    @cached_property
    def burn_alerts(self) -> tuple[BurnAlert, ...]:
        """Those that count: its own, or the workbook's with windows in proportion to the objective's window."""
        return self.alerts or tuple(_fitted(alert, self) for alert in WORKBOOK)

    @cached_property
    def key(self) -> str:
        """Under which its counts are kept. Another indicator is another key: its counts begin anew."""
        indicator = self.availability or self.latency
        assert indicator is not None
        return sha256_hex(canonical_json([self.id, indicator.model_dump(mode="json")]))[:32]

    @property
    def windows(self) -> tuple[timedelta, ...]:
        """All windows that its alerts look at, shortest first."""
        return tuple(sorted({span for alert in self.burn_alerts for span in (alert.long, alert.short)}))


class Objectives(Frozen):
    """The file of objectives."""

    slos: tuple[Objective, ...] = Field(default=(), max_length=500)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        repeated = _repeated([one.id for one in self.slos])
        if repeated:
            raise ValueError(f"the id {repeated} is given twice")
        return self


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for place, name in enumerate(names) if name in names[:place]), None)


def _fitted(alert: BurnAlert, objective: Objective) -> BurnAlert:
    """With windows that hold the same share of the objective's budget, and a factor that can be reached."""
    stretch = objective.window / _WORKBOOK_WINDOW
    short = max(SLOT, round(alert.short * stretch / SLOT) * SLOT)
    long = max(2 * short, round(alert.long * stretch / SLOT) * SLOT)
    factor = min(alert.factor, _HIGHEST_SHARE / objective.budget)
    return BurnAlert(factor=factor, long=long, short=min(short, MINUTES_KEPT), page=alert.page)
