"""The line of the file for one variant: the incident as it was seen, what was measured, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evals.incidents.format import LabelledIncident
from evals.recording.plan import Session, Variant
from evals.recording.seen import as_seen, investigated_at, signal_row
from models.domain.incident import Incident
from models.domain.recommendation import Recommendation
from models.domain.signal import Signal
from models.domain.topology import Topology

SOURCE = "suture sandbox"


def row_of(
    variant: Variant,
    session: Session,
    incident: Incident,
    made: Recommendation,
    topology: Topology,
    series: list[dict[str, Any]],
    chosen: dict[str, Any],
    shows: Callable[[Signal], bool] = lambda _: True,
) -> dict[str, Any]:
    """The line as JSON values; validated, so that what was written can be read. `chosen`: how strong all of it was.

    Nothing but `gold` and `variant` tells of the fault, and neither is shown to a recommendation. Raises ValueError
    where nothing in what was seen `shows` the fault: the truth would then be about what was not there yet.
    """
    seen = as_seen(incident, topology, investigated_at(incident))
    if not any(shows(signal) for signal in seen.signals):
        raise ValueError("it was recommended on before the fault showed")
    gold = variant.subject.gold
    best = made.candidates[0] if made.candidates and made.abstained is None else None
    row = {
        "id": variant.id,
        "title": seen.title,
        "description": seen.description,
        "severity": seen.severity,
        "environment": seen.environment,
        "services": list(seen.services),
        "labels": seen.labels,
        "started_at": seen.started_at.isoformat(),
        "detected_at": made.created_at.isoformat(),
        "signals": [signal_row(signal) for signal in seen.signals],
        "telemetry": {"series": series},
        "gold": gold.model_dump(mode="json", exclude_none=True) if gold else None,
        "source": SOURCE,
        "variant": {
            "seed": variant.seed,
            "number": variant.number,
            "fault": variant.subject.name,
            "noise": variant.noise or None,
            "customers": session.load.rate,
            "checkout_share": session.load.checkout_share,
            **chosen,
            "recommended": f"{best.candidate.runbook}/{best.candidate.action}" if best else None,
            "probability": round(best.probability, 4) if best else None,
        },
    }
    LabelledIncident.model_validate(row)
    return row
