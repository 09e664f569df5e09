"""Which incidents are over by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from models.correlation.draft import latest_of
from models.domain.base import Severity
from models.domain.incident import Incident, IncidentStatus
from models.domain.signal import Signal

_S = IncidentStatus
_MAY_RESOLVE = frozenset({_S.OPEN, _S.INVESTIGATING, _S.ESCALATED, _S.AWAITING_APPROVAL})


def quiet(active: Iterable[Incident], now: datetime, resolve_after: timedelta) -> tuple[Incident, ...]:
    """The incidents of which every signal is resolved, or was silent for `resolve_after`.

    Only those on which nothing is being done; the caller leaves out those with an execution that has begun. A departure
    that is no harm (severity info) does not hold an incident open in which others were. While people are asked whether
    to act, an alert is over only where its sender says so: one that is sent once is silent ever after.
    """
    return tuple(
        incident
        for incident in active
        if incident.status in _MAY_RESOLVE
        and all(
            signal.status == "resolved" or _silent(signal, incident, now, resolve_after)
            for signal in _holding(incident)
        )
    )


def _silent(signal: Signal, incident: Incident, now: datetime, resolve_after: timedelta) -> bool:
    counts = signal.anomaly is not None or incident.status is not _S.AWAITING_APPROVAL
    return counts and now - signal.at >= resolve_after


def _holding(incident: Incident) -> list[Signal]:
    latest = list(latest_of(incident.signals).values())
    return [signal for signal in latest if signal.severity is not Severity.INFO] or latest
