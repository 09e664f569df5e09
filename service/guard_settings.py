"""The guard's settings: what may start how often and when, how autonomy is earned, how long people are waited for."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator

from models.domain.base import Duration, Frozen
from models.domain.execution import Mode


def _with_unit(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError(f"{value} has no unit; write {value}s, or for example 5m")
    return value


Span = Annotated[Duration, BeforeValidator(_with_unit), Field(gt=timedelta(0))]
"""A duration above zero; a bare number is refused, because its unit would be a guess."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}; write for example Europe/Berlin") from error
    return name


def _time_of_day(value: object) -> object:
    # YAML reads an unquoted 22:00 as the number 1320.
    if isinstance(value, int | float):
        raise ValueError(f'{value} is no time of day; write it in quotes, for example "22:00"')
    return value


def _without_offset(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError(f"{value.isoformat()} has an offset; leave it out, `timezone` says where it is that time")
    return value


Zone = Annotated[str, AfterValidator(_zone)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day), AfterValidator(_without_offset)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Scope = Literal["all", "environment", "service", "target", "action"]


class Rate(Frozen):
    """At most `count` starts within `per`, in all or for each environment, service, target or action."""

    count: int = Field(ge=1)
    per: Span
    scope: Scope = "all"


class BlastRadius(Frozen):
    """How much of one service may be acted on within `per`. None: no such limit."""

    targets: int | None = Field(default=None, ge=1)
    """Different targets."""
    share: float | None = Field(default=0.5, gt=0, le=1)
    """Of the `instances` that the topology lists; one is always allowed, and so is a service that lists none."""
    per: Span = timedelta(hours=1)


class Freeze(Frozen):
    """When nothing starts. Either weekly (`days`, `from`, `to`) or once (`start`, `end`); all in `timezone`.

    A weekly window whose `to` is not after its `from` ends on the next day. Without `from` and `to` it is whole days.
    """

    name: str = Field(min_length=1, max_length=100)
    environments: tuple[str, ...] = ("*",)
    """Globs."""
    services: tuple[str, ...] = ("*",)
    """Globs."""
    timezone: Zone = "UTC"
    days: tuple[Day, ...] = ()
    from_: TimeOfDay | None = Field(default=None, alias="from")
    to: TimeOfDay | None = None
    start: datetime | AwareDatetime | None = None
    """Without an offset: in `timezone`."""
    end: datetime | AwareDatetime | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        weekly, once = bool(self.days), self.start is not None or self.end is not None
        if weekly == once:
            raise ValueError("a freeze has either days, or start and end")
        if once and (self.start is None or self.end is None):
            raise ValueError("start and end go together")
        if (self.from_ is None) != (self.to is None):
            raise ValueError("from and to go together")
        if once and self.from_ is not None:
            raise ValueError("from and to are for days; a freeze with start and end has none")
        if self.start is not None and self.end is not None and self.at(self.end) <= self.at(self.start):
            raise ValueError("end must be after start")
        return self

    def at(self, written: datetime) -> datetime:
        """A time of `start` or `end` with its zone."""
        return written if written.tzinfo is not None else written.replace(tzinfo=ZoneInfo(self.timezone))


class Breaker(Frozen):
    """After `failures` failed executions of an action in a row in an environment, it rests for `cooldown`."""

    failures: int = Field(default=3, ge=1)
    cooldown: Span = timedelta(hours=1)


class LimitSettings(Frozen):
    """What holds over all replicas, whatever the policies say."""

    rates: tuple[Rate, ...] = (Rate(count=10, per=timedelta(minutes=10), scope="service"),)
    blast_radius: BlastRadius = BlastRadius()
    freezes: tuple[Freeze, ...] = ()
    breaker: Breaker = Breaker()
    dependency_order: bool = True
    """Nothing starts on a service while something runs on one that it depends on."""


class AutonomySettings(Frozen):
    """How an action earns `auto` in an environment. The environment's mode is the ceiling."""

    bar: float = Field(default=0.8, gt=0, lt=1)
    """The lower confidence bound of verified success must reach it."""
    start: Mode = Mode.APPROVE
    """Where an action begins."""
    starts: dict[str, Mode] = Field(default_factory=dict)
    """Per environment, in place of `start`: an operator's word instead of a record."""

    def start_in(self, environment: str) -> Mode:
        """Where an action begins in an environment."""
        return self.starts.get(environment, self.start)


class ApprovalSettings(Frozen):
    """How long people are waited for, and when they are reminded. Both before `approval_expires`, else never."""

    remind_after: Span = timedelta(minutes=15)
    escalate_after: Span = timedelta(minutes=30)
    """From then on an admin is asked too."""
