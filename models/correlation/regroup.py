"""What a person's merging and splitting makes of incidents. Pure, as `correlate`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from models.correlation.draft import Draft
from models.domain.incident import Incident
from models.domain.topology import Topology


def merge(home: Incident, others: Sequence[Incident], topology: Topology, now: datetime) -> Incident:
    """`home` with the signals of the others too, and what follows from them; its status stays.

    Signals beyond what an incident keeps stay with the others' documents alone.
    """
    draft = Draft(home, home.environment)
    for other in others:
        draft.absorb(Draft(other, other.environment))
    gone = {other.id for other in others}
    apart = tuple(name for name in home.apart_from if name not in gone)
    return draft.build(topology, now).model_copy(update={"apart_from": apart})


def split(
    incident: Incident, fingerprints: Collection[str], topology: Topology, now: datetime
) -> tuple[Incident, Incident]:
    """`incident` without the signals of those fingerprints, and a new one of them, whose id is "".

    Raises ValueError where one of the two would have no signals.
    """
    moved = Draft(None, incident.environment)
    for signal in incident.signals:
        if signal.fingerprint in fingerprints:
            moved.put(signal)
    left = tuple(signal for signal in incident.signals if signal.fingerprint not in fingerprints)
    if not left or not moved.first:
        raise ValueError("one of the two would have no signals")
    rest = Draft(incident.model_copy(update={"signals": left}), incident.environment)
    fresh = moved.build(topology, now).model_copy(update={"timeline": (), "apart_from": (incident.id,)})
    return rest.build(topology, now), fresh
