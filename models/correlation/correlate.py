"""Signals that belong together become one incident: by fingerprint, by service and topology, by time.

Pure: what there was and what came goes in, what changes comes out. On-call engineers distrust noise, so a weak anomaly
alone opens nothing: it waits, in `Memory`, for another that agrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.correlation.companions import Companions
from models.correlation.draft import Draft
from models.correlation.grouping import Ended, Grouping
from models.correlation.memory import CONTINUES, Memory, Trace
from models.correlation.signals import harms_by_itself, opens_alone, witness
from models.domain.incident import Incident, IncidentStatus
from models.domain.signal import Signal
from models.domain.topology import Topology

FLAPS = 4
"""A fingerprint that changed between firing and resolved more often than this within the flap window is flapping."""
FLAP_WINDOW = timedelta(minutes=30)
REOPEN_WITHIN = timedelta(minutes=30)
PENDING_AT_MOST = 2000
WITNESSES = 2
"""Different harmful testimonies that open an incident together."""


@dataclass(frozen=True)
class Correlation:
    """What a call changed. Opened incidents have the id "" until the store gives one."""

    opened: tuple[Incident, ...]
    updated: tuple[Incident, ...]
    reopened: tuple[Incident, ...]
    merged: tuple[tuple[str, str], ...]
    """Identifiers of incidents that turned out to be consequences, each with the one that took its signals."""
    taken: tuple[frozenset[str], ...]
    """For each of `opened`, `updated` and `reopened`, in this order: the fingerprints that came into it."""
    pending: tuple[Signal, ...]
    """Signals that wait for another that agrees."""
    flapping: frozenset[str]
    """Fingerprints that toggle too often to open an incident."""
    memory: Memory
    """To be passed to the next call."""


def correlate(  # noqa: PLR0913  (all that it depends on is passed in)
    signals: Iterable[Signal],
    active: Iterable[Incident],
    recent: Iterable[Incident],
    topology: Topology,
    *,
    now: datetime,
    window: timedelta,
    memory: Memory | None = None,
    companions: Companions | None = None,
    reopen_within: timedelta = REOPEN_WITHIN,
    flap_window: timedelta = FLAP_WINDOW,
    flaps: int = FLAPS,
) -> Correlation:
    """Put signals, in any order, into the incidents in which they belong, opening and reopening where it takes that.

    `active` are incidents that take signals, `recent` those that ended lately; neither is changed. `window` is how far
    a signal may be from an incident's last one to join it, `companions` what was learned of which kinds belong
    together. Signals that say "resolved" only update.
    """
    memory = memory or Memory()
    ordered = sorted(signals, key=lambda signal: signal.at)
    traces = memory.traced(ordered, now, flap_window)
    flapping = frozenset(name for name, trace in traces.items() if len(trace.changes) > flaps)
    grouping = Grouping(topology, window, [Draft(incident, incident.environment) for incident in active], companions)
    ended = [Ended(incident) for incident in recent if incident.status is IncidentStatus.RESOLVED]

    rest = [*memory.pending, *(signal for signal in ordered if not grouping.repeat(signal))]
    over = {name for name, trace in traces.items() if trace.status == "resolved"}
    rest = [signal for signal in rest if signal.status == "firing" and signal.fingerprint not in over]
    rest = [signal for signal in rest if not _belongs_to_past(signal, ended, traces, grouping, reopen_within, flapping)]
    groups = grouping.place(rest)
    judged = [(group, _may_open(group, flapping, traces)) for group in groups]
    opening = [group for group, may in judged if may]
    waiting = [signal for group, may in judged if not may for signal in group.latest.values()]
    pending = tuple(sorted((s for s in waiting if now - s.at <= window), key=lambda s: s.at)[-PENDING_AT_MOST:])

    merged = grouping.consequences(now)
    touched = [draft for draft in grouping.drafts if draft.touched and not draft.gone]
    changed = (opening, [d for d in touched if not d.reopened], [d for d in touched if d.reopened])
    opened, updated, reopened = (tuple(draft.build(topology, now) for draft in drafts) for drafts in changed)
    return Correlation(
        opened=opened,
        updated=updated,
        reopened=reopened,
        merged=tuple((a.incident.id, b.incident.id) for a, b in merged if a.incident and b.incident),
        taken=tuple(frozenset(draft.taken) for drafts in changed for draft in drafts),
        pending=pending,
        flapping=flapping,
        memory=Memory(pending=pending, traces=traces),
    )


def _may_open(group: Draft, flapping: frozenset[str], traces: Mapping[str, Trace]) -> bool:
    """Noise guard: one signal that is enough alone, or different witnesses of harm that agree."""
    steady = [signal for name, signal in group.latest.items() if name not in flapping]
    testimonies = {witness(signal) for signal in steady} - {None}
    alone = any(opens_alone(signal, _ticks(signal, traces)) for signal in steady)
    return alone or len(testimonies) >= WITNESSES


def _ticks(signal: Signal, traces: Mapping[str, Trace]) -> float:
    trace = traces.get(signal.fingerprint)
    return trace.ticks if trace else 0.0


def _belongs_to_past(
    signal: Signal,
    ended: list[Ended],
    traces: Mapping[str, Trace],
    grouping: Grouping,
    reopen_within: timedelta,
    flapping: frozenset[str],
) -> bool:
    """Whether the signal is of an incident that ended: late, a remnant that fades, or back again (which reopens)."""
    fingerprint = signal.fingerprint
    for past in ended:
        end = past.at
        if fingerprint not in past.fingerprints or signal.at - end > reopen_within:
            continue
        if signal.at <= end:
            return True
        trace = traces.get(fingerprint)
        remnant = trace is not None and trace.since <= end
        if remnant and (signal.at - end <= CONTINUES or not harms_by_itself(signal)):
            return True
        if fingerprint not in flapping and opens_alone(signal, _ticks(signal, traces)):
            grouping.reopen(past.incident, signal)
            ended.remove(past)
            return True
    return False
