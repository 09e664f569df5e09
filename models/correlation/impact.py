"""Who suffers from an incident, and how much."""

from __future__ import annotations

from models.domain.incident import Impact, Incident
from models.domain.topology import Topology


def impact_of(incident: Incident, topology: Topology, failing_share: float | None = None) -> Impact:
    """Services with signals, the services that depend on them, the share of failing requests in [0, 1], and words."""
    services = incident.services
    downstream = tuple(
        dict.fromkeys(caller for name in services for caller in topology.dependents(name) if caller not in services)
    )
    parts = [f"{_list(services)} affected" if services else "no service named"]
    if downstream:
        parts.append(f"{_list(downstream)} depend{'s' if len(downstream) == 1 else ''} on that")
    if failing_share is not None:
        parts.append(f"{failing_share:.1%} of requests fail")
    return Impact(services=services, downstream=downstream, failing_share=failing_share, summary="; ".join(parts))


def _list(names: tuple[str, ...], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
