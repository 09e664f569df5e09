"""What is found in simulated logs: healthy days for false signals, then failures of four kinds from the same state."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from evals.logs.flow import Flow
from evals.logs.generator import DAY, INTERVAL, SERVICES, Source, World
from models.correlation.signals import witness
from models.detection.logs.service import NEW_ERROR
from models.domain.signal import Signal

START = 1_767_225_600.0
"""2026-01-01, midnight."""
WATCHED = 30 * 60.0
"""Seconds after an injection in which it may be found."""
APART = 300.0
"""Seconds of silence after which a signal counts again."""


@dataclass(frozen=True)
class Injection:
    """One failure. `signal_after` and `incident_after` in seconds, None where it was not found."""

    kind: str
    service: str
    pattern: str
    rate: float
    """Lines a second before."""
    signal_after: float | None
    incident_after: float | None
    quoted: bool
    """Whether a signal of the incident, or the signal, has the words of the template."""


def measure(seed: int, each: int, days: int, tell: Callable[[str], None] = print) -> dict[str, Any]:
    """Learn for a day, watch `days` healthy ones, then play `each` failures of each kind."""
    world, flow = World(seed), Flow()
    for at in _intervals(START, DAY):
        flow.step(world.interval(at), at + INTERVAL)
    tell(f"learnt {sum(len(log.templates.by_id) for log in flow.book.services.values())} templates")
    healthy = _healthy(world, flow, START + DAY, days)
    tell(f"watched {days} healthy days")
    begin = START + (1 + days) * DAY
    rng = random.Random(seed)  # noqa: S311  (a simulation)
    played = [_play(kind, copy.deepcopy(world), flow.copy(), begin, rng) for kind in KINDS for _ in range(each)]
    templates = sum(len(log.templates.by_id) for log in flow.book.services.values())
    return {
        "seed": seed, "services": len(SERVICES), "templates": templates, "lines": flow.book.total.accepted,
        "healthy": healthy, "found": {kind: _summary([one for one in played if one.kind == kind]) for kind in KINDS},
        "injections": [asdict(one) for one in played],
    }  # fmt: skip


def _intervals(start: float, seconds: float) -> Iterator[float]:
    return (start + tick * INTERVAL for tick in range(round(seconds / INTERVAL)))


def _healthy(world: World, flow: Flow, start: float, days: int) -> dict[str, float]:
    last: dict[str, float] = {}
    signals = harmful = new_errors = alone = incidents = 0
    for at in _intervals(start, days * DAY):
        found, opened = flow.step(world.interval(at), at + INTERVAL)
        incidents += len(opened)
        for signal in found:
            if at - last.get(signal.fingerprint, -APART) >= APART:
                signals += 1
                harmful += witness(signal) is not None
                new_errors += signal.name == NEW_ERROR
                alone += signal.name == NEW_ERROR and signal.severity == "warning"
            last[signal.fingerprint] = at
    counted = {
        "signals": signals, "of_harm": harmful, "new_errors": new_errors, "new_errors_that_open": alone,
        "incidents": incidents,
    }  # fmt: skip
    return {f"{name}_a_day": round(count / days, 2) for name, count in counted.items()}


def _new_error(world: World, rng: random.Random) -> tuple[Source, float]:
    source = world.unseen(rng.choice(SERVICES), 10 ** rng.uniform(-1.3, 0.0))
    world.sources.append(source)
    return source, 0.0


def _error_burst(world: World, rng: random.Random) -> tuple[Source, float]:
    source = rng.choice([one for one in world.sources if one.level == "error"])
    source.factor = max(20.0, 0.2 / source.rate)
    return source, source.rate


def _stops(world: World, rng: random.Random) -> tuple[Source, float]:
    source = rng.choice([one for one in world.sources if one.level != "error" and one.rate >= 0.1])
    source.factor = 0.0
    return source, source.rate


def _rate_change(world: World, rng: random.Random) -> tuple[Source, float]:
    source = rng.choice([one for one in world.sources if one.level != "error" and one.rate >= 0.02])
    source.factor = 5.0
    return source, source.rate


KINDS: dict[str, Callable[[World, random.Random], tuple[Source, float]]] = {
    "new error": _new_error, "error burst": _error_burst, "template stops": _stops, "rate times five": _rate_change,
}  # fmt: skip


def _play(kind: str, world: World, flow: Flow, start: float, rng: random.Random) -> Injection:
    """Ten healthy minutes, then the failure."""
    for at in _intervals(start, 600.0):
        flow.step(world.interval(at, rare=False), at + INTERVAL)
    source, rate = KINDS[kind](world, rng)
    words = source.pattern.partition("{")[0].strip()
    signal_after = incident_after = None
    quoted = False
    for at in _intervals(start + 600.0, WATCHED):
        found, opened = flow.step(world.interval(at, rare=False), at + INTERVAL)
        after = at + INTERVAL - start - 600.0
        of_service = [signal for signal in found if signal.service == source.service]
        if any(_is_of(signal, source, words) for signal in of_service) and signal_after is None:
            signal_after = after
        if any(source.service in incident.services for incident in opened) and incident_after is None:
            incident_after = after
        quoted = quoted or any(words in signal.text for signal in of_service)
    return Injection(kind, source.service, source.pattern, rate, signal_after, incident_after, quoted)


def _is_of(signal: Signal, source: Source, words: str) -> bool:
    """Whether the signal is of that template, or of the errors of its service while it is one."""
    if signal.labels.get("template"):
        return words in signal.text
    return source.level in ("error", "critical") and signal.labels.get("level") == source.level


def _summary(played: list[Injection]) -> dict[str, Any]:
    signals = [one.signal_after for one in played if one.signal_after is not None]
    incidents = [one.incident_after for one in played if one.incident_after is not None]
    return {
        "n": len(played),
        "signal": len(signals),
        "signal_median_s": median(signals) if signals else None,
        "incident": len(incidents),
        "incident_median_s": median(incidents) if incidents else None,
        "quoted": sum(one.quoted for one in played),
    }
