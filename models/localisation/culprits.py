"""Which service is the origin of an incident: its signals, weighed, against the direction of the dependencies.

A fault travels from a callee to its callers: callers fail, slow down or fill up. Load travels the other way: a caller
that is gone leaves its callees idle. So a service whose harm an ailing dependency explains ranks lower, and a fall of
load weighs little. What says nothing may be the origin too: a service that ails, and that nothing explains, puts those
on which it depends under suspicion, less than itself. Weights become probabilities by a softmax; they are log-odds set
by hand, until outcomes teach them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from models.detection.meaning import Role, harmful, role_of
from models.domain.base import Severity
from models.domain.incident import Culprit, Incident
from models.domain.signal import Signal, SignalKind
from models.domain.topology import Topology

HARM = {
    Role.AVAILABILITY: 4.0,
    Role.ERRORS: 2.5,
    Role.LATENCY: 2.0,
    Role.SATURATION: 2.0,
    Role.OTHER: 1.0,
    Role.TRAFFIC: 0.5,
    Role.CONTEXT: 0.25,
}
"""Log-odds of being the origin, by what a service's strongest harmful signal measures."""
HARMLESS = 0.25
"""That of a departure which is no harm: a consequence elsewhere."""
ALERT = {Severity.CRITICAL: 3.0, Severity.WARNING: 2.0, Severity.INFO: 0.5}
"""That of a signal that is no anomaly, whose rule a person wrote, where its metric says nothing better."""
CAUSES_FROM = 2.0
"""A dependency with this much harm of its own may explain its callers."""
EXPLAINED = 3.0
"""Log-odds taken away where an ailing dependency explains a service's harm."""
EXPLAINED_DOWN = 2.0
"""The same for a service that is itself down: being down is explained by a dependency that is down, and less surely."""

SILENT = -2.0
"""Log-odds of all services together that a service calls and that say nothing, over that service's own; where nothing
explains it and it is not itself down."""


def localise(
    incident: Incident, topology: Topology, measured: Mapping[str, Signal] | None = None
) -> tuple[Culprit, ...]:
    """The services that have signals, and silent ones on which they depend, most probable origin first.

    Probabilities sum to 1. Empty where no service is named. `measured`: of silent ones, what was measured to be wrong.
    """
    strongest = _strongest(_speaking(incident.signals))
    # A service is asked for only as long as it does not speak itself.
    strongest = {**(measured or {}), **strongest} if strongest else {}
    harm = {service: weigh(signal) for service, signal in strongest.items()}
    weights: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for service, signal in strongest.items():
        causes = [
            name for name in reachable(topology, service) if name in harm and _explains(strongest[name], signal, harm)
        ]
        down = role_of_signal(signal) is Role.AVAILABILITY
        weights[service] = harm[service] - ((EXPLAINED_DOWN if down else EXPLAINED) if causes else 0.0)
        reasons[service] = _reason(signal, causes)
        if causes or down or harm[service] < CAUSES_FROM:
            continue
        silent = [name for name in topology.dependencies(service) if name not in strongest]
        for name in silent:
            weight = harm[service] + SILENT - math.log(len(silent))
            if weight > weights.get(name, -math.inf):
                weights[name] = weight
                reasons[name] = f"says nothing itself; {service} depends on it, and nothing else explains {signal.name}"
    total = sum(math.exp(weight) for weight in weights.values())
    order = sorted(weights, key=lambda service: (-weights[service], _since(strongest.get(service)), service))
    return tuple(
        Culprit(
            service=service,
            metric=strongest[service].metric if service in strongest else None,
            probability=math.exp(weights[service]) / total,
            reason=reasons[service],
        )
        for service in order
    )


def _since(signal: Signal | None) -> float:
    return signal.at.timestamp() if signal is not None else math.inf


def weigh(signal: Signal) -> float:
    """Log-odds that the service of this signal is the origin, taken alone."""
    role = role_of_signal(signal)
    if signal.anomaly is not None:
        return HARM[role] if harmful(role, signal.anomaly.direction) else HARMLESS
    return HARM[Role.AVAILABILITY] if role is Role.AVAILABILITY else ALERT[signal.severity]


def role_of_signal(signal: Signal) -> Role:
    """What the signal measures: by its metric, else, for an alert, by its name."""
    if signal.metric:
        return role_of(signal.metric, signal.labels)
    words = signal.name.lower()
    if signal.kind is not SignalKind.ANOMALY and words.endswith(("down", "unavailable", "absent", "unreachable")):
        return Role.AVAILABILITY
    return role_of(words, {})


def reachable(topology: Topology, service: str) -> tuple[str, ...]:
    """What `service` depends on, directly or through others, itself left out, nearest first."""
    found: list[str] = []
    frontier = [service]
    while frontier:
        callees = dict.fromkeys(callee for name in frontier for callee in topology.dependencies(name))
        frontier = [callee for callee in callees if callee != service and callee not in found]
        found.extend(frontier)
    return tuple(found)


def _speaking(signals: Iterable[Signal]) -> list[Signal]:
    """The latest of each fingerprint, those that fire; where all were resolved, all of them."""
    latest: dict[str, Signal] = {}
    for signal in signals:
        held = latest.get(signal.fingerprint)
        if held is None or signal.at >= held.at:
            latest[signal.fingerprint] = signal
    firing = [signal for signal in latest.values() if signal.status == "firing"]
    return firing or list(latest.values())


def _strongest(signals: Iterable[Signal]) -> dict[str, Signal]:
    """By service, its weightiest signal; among equals the surer, then the earlier one."""
    found: dict[str, Signal] = {}
    for signal in signals:
        if signal.service and (signal.service not in found or _rank(signal) > _rank(found[signal.service])):
            found[signal.service] = signal
    return found


def _rank(signal: Signal) -> tuple[float, float, float]:
    return weigh(signal), signal.anomaly.score if signal.anomaly else 1.0, -signal.at.timestamp()


def _explains(cause: Signal, effect: Signal, harm: dict[str, float]) -> bool:
    if cause.service is None or harm[cause.service] < CAUSES_FROM:
        return False
    return role_of_signal(effect) is not Role.AVAILABILITY or role_of_signal(cause) is Role.AVAILABILITY


def _reason(signal: Signal, causes: list[str]) -> str:
    if causes:
        return f"{signal.name}; explained by {', '.join(causes)}, on which it depends"
    return f"{signal.name}; nothing that it depends on explains it"
