"""What is measured of dependencies that did not speak: one that is down explains its callers, signal or not."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime

from models.detection.meaning import Kind, kind_of
from models.domain.base import Severity
from models.domain.errors import SutureError
from models.domain.incident import Incident
from models.domain.signal import Sample, Signal, SignalKind
from models.domain.topology import Topology
from models.localisation.culprits import reachable
from service.ports import Source

_log = logging.getLogger(__name__)

MOST = 20
"""Dependencies that are asked about: the nearest."""
_STATES = "up|.+_up|.+_healthy|.+_ready|probe_success"


def silent_causes(incident: Incident, topology: Topology, source: Source | None, at: datetime) -> dict[str, Signal]:
    """By service, the state metric (`up`, `…_up`, `…_ready`) that reads 0 now. Empty where nothing can be asked."""
    speaking = dict.fromkeys(signal.service for signal in incident.signals if signal.service)
    silent = dict.fromkeys(name for each in speaking for name in reachable(topology, each) if name not in speaking)
    if source is None or not silent:
        return {}
    names = json.dumps("|".join(map(re.escape, list(silent)[:MOST])))
    try:
        answer = source.query(f'{{service=~{names}, __name__=~"{_STATES}"}} == 0', at)
    except SutureError as error:
        # The signals alone say enough to go on.
        _log.warning("dependencies of %s could not be looked at: %s", incident.id, error)
        return {}
    return {
        sample.labels["service"]: _signal_of(sample)
        for sample in answer
        if sample.labels.get("service") in silent and kind_of(sample.metric) is Kind.STATE
    }


def _signal_of(sample: Sample) -> Signal:
    return Signal(
        kind=SignalKind.ALERT,
        name=f"{sample.metric} is 0",
        at=sample.at,
        metric=sample.metric,
        labels={name: value for name, value in sample.labels.items() if name != "__name__"},
        severity=Severity.CRITICAL,
        value=sample.value,
        source="measured",
    )
