"""Which incidents are over by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from models.correlation.draft import latest_of
from models.domain.base import Severity
from models.domain.incident import Incident, IncidentStatus
from models.domain.signal import Signal

_MAY_RESOLVE = frozenset({IncidentStatus.OPEN, IncidentStatus.INVESTIGATING, IncidentStatus.ESCALATED})


def quiet(active: Iterable[Incident], now: datetime, resolve_after: timedelta) -> tuple[Incident, ...]:
    """The incidents of which every signal is resolved, or was silent for `resolve_after`.

    Only those on which nothing is being done; the caller leaves out those with an execution. A departure that is no
    harm (severity info) does not hold an incident open in which others were.
    """
    return tuple(
        incident
        for incident in active
        if incident.status in _MAY_RESOLVE
        and all(signal.status == "resolved" or now - signal.at >= resolve_after for signal in _holding(incident))
    )


def _holding(incident: Incident) -> list[Signal]:
    latest = list(latest_of(incident.signals).values())
    return [signal for signal in latest if signal.severity is not Severity.INFO] or latest
