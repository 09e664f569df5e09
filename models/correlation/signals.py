"""Anomalies as signals, and how much a signal weighs when an incident may open."""

from __future__ import annotations

from models.detection.meaning import Role, family_of, harmful, role_of
from models.domain.base import Severity
from models.domain.signal import Anomaly, Signal, SignalKind
from models.localisation.culprits import role_of_signal, weigh

ALONE = {Role.AVAILABILITY: 1e-6, Role.ERRORS: 1e-9, Role.LATENCY: 1e-18, Role.SATURATION: 1e-18}
"""P-value at which one anomaly opens an incident alone. Availability and errors are harm by themselves; slowness and
fullness come and go, and must have lasted (each tick that a departure lasts takes decades off its p-value)."""
LASTING = 1e-9
"""P-value at which fullness that has lasted opens an incident alone: a series that departed before has a heavy tail,
and its p-value stops falling long before it is ALONE's."""
LASTING_TICKS = 20
CRITICAL_ERRORS = 1e-12
"""P-value from which errors that rise are critical."""


def signal_of(anomaly: Anomaly) -> Signal:
    """The signal of an anomaly: named by metric and direction (`pg_up down`), with the labels of its series."""
    metric = anomaly.labels.get("__name__", "")
    labels = {name: value for name, value in anomaly.labels.items() if name != "__name__"}
    return Signal(
        kind=SignalKind.ANOMALY,
        name=f"{metric} {anomaly.direction}".strip(),
        at=anomaly.at,
        metric=metric or None,
        labels=labels,
        severity=_severity(role_of(metric, labels), anomaly),
        value=anomaly.observed,
        text=f"{metric} is {anomaly.observed:.4g}{f' ({anomaly.component})' if anomaly.component else ''}; expected "
        f"{anomaly.expected:.4g} ({anomaly.lower:.4g} to {anomaly.upper:.4g})",
        source="detector",
        anomaly=anomaly,
    )


def _severity(role: Role, anomaly: Anomaly) -> Severity:
    if not harmful(role, anomaly.direction) or role is Role.OTHER:
        return Severity.INFO
    if role is Role.AVAILABILITY or (role is Role.ERRORS and anomaly.p_value <= CRITICAL_ERRORS):
        return Severity.CRITICAL
    return Severity.WARNING


def opens_alone(signal: Signal, ticks: float = 0.0) -> bool:
    """Whether this one signal is enough for an incident: a person's rule above `info`, or a sure anomaly of health.

    `ticks`: for how many it has fired without a pause.
    """
    if signal.anomaly is None:
        return signal.severity is not Severity.INFO
    role = role_of_signal(signal)
    lasted = role is Role.SATURATION and ticks >= LASTING_TICKS
    bound = max(ALONE.get(role, 0.0), LASTING if lasted else 0.0)
    return harmful(role, signal.anomaly.direction) and signal.anomaly.p_value <= bound


def harms_by_itself(signal: Signal) -> bool:
    """Whether the signal, as long as it fires, means that users suffer: a rule of a person, unavailability, errors."""
    return signal.anomaly is None or role_of_signal(signal) in (Role.AVAILABILITY, Role.ERRORS)


def witness(signal: Signal) -> str | None:
    """What this signal testifies of, None where it is no harm. Two different testimonies together open an incident.

    Series of one metric family (`_sum` and `_count` of a histogram, its label values) are one witness.
    """
    if signal.anomaly is None:
        return signal.name
    role = role_of_signal(signal)
    return family_of(signal.metric or signal.name) if harmful(role, signal.anomaly.direction) else None


def strength(signal: Signal) -> tuple[int, float, float, float]:
    """Orders signals: severity, then what they measure, then how sure, then the earlier one."""
    sure = signal.anomaly.score if signal.anomaly else 1.0
    return signal.severity.rank, weigh(signal), sure, -signal.at.timestamp()
