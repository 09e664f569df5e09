"""The limits as pure functions: facts in, a hold or nothing out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from models.domain.base import format_duration
from models.domain.topology import Topology
from service.guard.freezes import frozen
from service.guard_settings import BlastRadius, Breaker, Freeze, LimitSettings, Rate

# Who only recommends decides without a database, and should not wait for its modules.
if TYPE_CHECKING:
    from service.store.admission import Facts, Place


@dataclass(frozen=True)
class Hold:
    """Why nothing may start now, in words."""

    reason: str
    until: datetime | None
    """The earliest time at which it may be over; None where it is not known."""
    wait: bool
    """It passes by itself, often soon: worth waiting for."""
    concerns: Literal["action", "target", "service"] = "service"
    """Another candidate of the incident may be free where this is not the whole service."""


@dataclass(frozen=True)
class Reach:
    """How much of its service would have been acted on within the blast radius' period, this candidate included."""

    targets: int
    """Different targets."""
    share: float
    """Of the instances that the topology lists, in [0, 1]; 0 where it lists none."""


def standing(facts: Facts, freezes: Sequence[Freeze]) -> Hold | None:
    """What nobody may start through, and what also stops an execution that was admitted and has not acted yet."""
    if facts.kill_switch:
        return Hold("the kill switch is on", None, wait=False)
    place = facts.place
    for window in facts.maintenance:
        if window.starts_at <= facts.now < window.ends_at and _covers(window.service, window.environment, place):
            words = f"people work on {place.service or window.service} until {moment(window.ends_at)}: {window.reason}"
            return Hold(f"{words} (maintenance {window.id})", window.ends_at, wait=False)
    found = frozen(freezes, place.environment, place.service, facts.now)
    if found is not None:
        freeze, until = found
        return Hold(f"the freeze {freeze.name!r} holds until {moment(until)}", until, wait=False)
    return None


def first_hold(facts: Facts, settings: LimitSettings, topology: Topology) -> Hold | None:
    """What holds a candidate back that has not started: what does not pass soon goes before what does."""
    hold = standing(facts, settings.freezes) or in_doubt(facts) or resting(facts, settings.breaker)
    hold = hold or too_far(facts, settings.blast_radius, topology)
    if hold is not None:
        return hold
    waiting = [*too_fast(facts, settings.rates), *busy(facts), *on_trial(facts, settings.breaker)]
    if settings.dependency_order:
        waiting += dependency(facts, topology)
    # The one that is known to last longest: where that is too long, nothing is waited for.
    return max(waiting, key=lambda one: one.until or facts.now, default=None)


def in_doubt(facts: Facts) -> Hold | None:
    """An earlier execution may or may not have acted on the target, and no person has settled that."""
    for doubt in facts.doubts:
        words = f"{doubt.execution} may or may not have acted on {facts.place.target}: look at it, then"
        return Hold(f"{words} resolve or close {doubt.incident}", None, wait=False, concerns="target")
    return None


def resting(facts: Facts, breaker: Breaker) -> Hold | None:
    """The circuit breaker of the action in the environment is open."""
    opened = _opened(facts, breaker)
    if opened is None or facts.now >= opened:
        return None
    place = facts.place
    words = f"{place.action} failed {_times(breaker.failures)} in {place.environment!r}"
    return Hold(f"{words}; it rests until {moment(opened)}", opened, wait=False, concerns="action")


def on_trial(facts: Facts, breaker: Breaker) -> Iterator[Hold]:
    """The breaker is half open, and somebody tries the action already."""
    if _opened(facts, breaker) is None:
        return
    for active in facts.active:
        if (active.place.action, active.place.environment) == (facts.place.action, facts.place.environment):
            words = f"{facts.place.action} failed {_times(breaker.failures)} and is being tried again"
            yield Hold(f"{words} by {active.execution}", None, wait=True, concerns="action")


def too_far(facts: Facts, limit: BlastRadius, topology: Topology) -> Hold | None:
    """One more target would be too much of the service."""
    place, instances = facts.place, _instances(topology, facts.place)
    bounds = [limit.targets] if limit.targets is not None else []
    if limit.share is not None and instances:
        # The small number is for shares such as 0.29 of 100, which is 28.999… as a float.
        bounds.append(max(1, int(limit.share * instances + 1e-9)))
    others = sorted(_others(facts, limit).values())
    if not bounds or len(others) < min(bounds):
        return None
    until = others[len(others) - min(bounds)] + limit.per
    of = f" of {instances}" if instances else ""
    words = f"{len(others)}{of} targets of {_of(place)} were acted on within {format_duration(limit.per)}"
    return Hold(f"{words}, and {min(bounds)} may be; the next one from {moment(until)} on", until, wait=False)


def reach(facts: Facts, limit: BlastRadius, topology: Topology) -> Reach:
    """How far the candidate would reach."""
    targets, instances = len(_others(facts, limit)) + 1, _instances(topology, facts.place)
    return Reach(targets, min(1.0, targets / instances) if instances else 0.0)


def too_fast(facts: Facts, rates: Sequence[Rate]) -> Iterator[Hold]:
    """One more start would be too many within a rate's period."""
    for rate in rates:
        counted = sorted(
            start.at
            for start in facts.starts
            if start.at > facts.now - rate.per and (rate.scope == "all" or _same(rate.scope, start.place, facts.place))
        )
        if len(counted) < rate.count:
            continue
        until = counted[len(counted) - rate.count] + rate.per
        of = {"all": "in all", "environment": f"in {facts.place.environment!r}", "service": f"on {_of(facts.place)}"}
        where = of.get(rate.scope, f"of {facts.place.action}" if rate.scope == "action" else f"on {facts.place.target}")
        started = f"{len(counted)} execution{'s' * (len(counted) != 1)} started"
        words = f"{started} {where} within {format_duration(rate.per)}, and {rate.count} may"
        concerns = rate.scope if rate.scope in ("action", "target") else "service"
        yield Hold(f"{words}; the next one from {moment(until)} on", until, wait=True, concerns=concerns)


def busy(facts: Facts) -> Iterator[Hold]:
    """Another execution acts on the target."""
    for active in facts.active:
        if active.place.target == facts.place.target:
            yield Hold(f"{active.execution} acts on {active.place.target}", None, wait=True, concerns="target")


def dependency(facts: Facts, topology: Topology) -> Iterator[Hold]:
    """An execution acts on a service that this one depends on: what it changes would be taken for ours."""
    needed = topology.all_dependencies(facts.place.service) if facts.place.service else frozenset()
    for active in facts.active:
        if active.place.service in needed and active.place.environment == facts.place.environment:
            words = f"{active.execution} acts on {active.place.service}, which {facts.place.service} depends on"
            yield Hold(words, None, wait=True)


def moment(at: datetime) -> str:
    """A time for people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _opened(facts: Facts, breaker: Breaker) -> datetime | None:
    """Until when the breaker is open; afterwards it is half open. None where it is closed."""
    last = facts.outcomes[: breaker.failures]
    if len(last) < breaker.failures or any(ended.verified for ended in last):
        return None
    return last[0].at + breaker.cooldown


def _others(facts: Facts, limit: BlastRadius) -> dict[str, datetime]:
    """The other targets of the service that were acted on within the period, each with the last time."""
    last: dict[str, datetime] = {}
    for start in facts.starts:
        if start.at > facts.now - limit.per and _same("service", start.place, facts.place):
            last[start.place.target] = max(start.at, last.get(start.place.target, start.at))
    # What still acts is not over, however long ago it started.
    last |= {one.place.target: facts.now for one in facts.active if _same("service", one.place, facts.place)}
    last.pop(facts.place.target, None)
    return last


def _instances(topology: Topology, place: Place) -> int:
    known = topology.services.get(place.service)
    return len(set(known.instances)) if known else 0


def _same(scope: str, one: Place, other: Place) -> bool:
    if scope == "service":
        return (one.service, one.environment) == (other.service, other.environment)
    return bool(getattr(one, scope) == getattr(other, scope))


def _covers(service: str, environment: str, place: Place) -> bool:
    return fnmatchcase(place.service, service) and fnmatchcase(place.environment, environment)


def _times(failures: int) -> str:
    return "the last time" if failures == 1 else f"{failures} times in a row"


def _of(place: Place) -> str:
    return place.service or "no known service"
