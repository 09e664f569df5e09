"""Who suffers from an incident, and how much; and what that makes of its severity."""

from __future__ import annotations

from collections.abc import Mapping

from models.domain.base import Severity
from models.domain.incident import Impact, Incident
from models.domain.topology import Topology

FAILING = {Severity.WARNING: 0.01, Severity.CRITICAL: 0.05}
"""Share of requests that fail from which an incident is at least of that severity."""
BURNED = {Severity.WARNING: 0.02, Severity.CRITICAL: 0.05}
"""Share of an error budget that was burned since the incident began: those at which the SRE workbook (chapter 5) pages,
within an hour and within six."""
DOWNSTREAM = {Severity.WARNING: 5, Severity.CRITICAL: 20}
"""Services that depend on those that ail."""


def impact_of(
    incident: Incident,
    topology: Topology,
    failing_share: float | None = None,
    burned: Mapping[str, float] | None = None,
) -> Impact:
    """Services with signals, the services that depend on them, the share of failing requests in [0, 1], and words.

    `burned`: by objective, the share of its whole error budget that was lost since the incident began.
    """
    services = incident.services
    downstream = tuple(
        dict.fromkeys(caller for name in services for caller in topology.dependents(name) if caller not in services)
    )
    parts = [f"{_list(services)} affected" if services else "no service named"]
    if downstream:
        parts.append(f"{_list(downstream)} depend{'s' if len(downstream) == 1 else ''} on that")
    if failing_share is not None:
        parts.append(f"{failing_share:.1%} of requests fail")
    worst = max(burned or {}, key=lambda name: (burned or {})[name], default=None)
    share = min(1.0, (burned or {})[worst]) if worst is not None else None
    if share is not None:
        parts.append(f"{share:.1%} of the error budget of {worst} burned")
    return Impact(
        services=services, downstream=downstream, failing_share=failing_share, budget_burned=share,
        summary="; ".join(parts),
    )  # fmt: skip


def raised_by(impact: Impact) -> tuple[Severity, str] | None:
    """The severity that an incident of this impact has at least, and why; None where it says nothing."""
    measured = (
        (impact.failing_share, FAILING, f"{impact.failing_share or 0:.1%} of requests fail"),
        (impact.budget_burned, BURNED, f"{impact.budget_burned or 0:.1%} of an error budget burned"),
        (len(impact.downstream), DOWNSTREAM, f"{len(impact.downstream)} services depend on it"),
    )
    for severity in (Severity.CRITICAL, Severity.WARNING):
        for value, bounds, words in measured:
            if value is not None and value >= bounds[severity]:
                return severity, words
    return None


def _list(names: tuple[str, ...], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
