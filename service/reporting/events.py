"""The timeline of a report: signals, the incident's own entries, the steps of executions, people's words and the audit
put in one order, each thing once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from models.domain.execution import Approval, Execution
from models.domain.incident import IncidentStatus, TimelineEntry
from models.domain.signal import Signal
from service.remediation.words import code, distinct, one_line, told
from service.reporting.facts import SUTURE, Event, EventKind
from service.reporting.record import Record

_STATUSES = frozenset(IncidentStatus) | {"opened", "reopened"}
_TOLD_BY_STEPS = frozenset({"verified", "failed", "declined", "uncertain"})
"""Kinds of entries that say what the last step of their execution says."""
_STEP_KINDS: dict[str, EventKind] = {
    "preconditions": "measured", "verify": "measured", "act": "done", "rollback": "done", "rolled-back": "done",
}  # fmt: skip
_TOLD_ELSEWHERE = ("incident.", "approval.", "execution.")
"""Audit events that the incident's timeline, people's words and the executions' steps tell."""


def events_of(
    record: Record, signals: Sequence[Signal], since: datetime | None, until: datetime | None
) -> tuple[Event, ...]:
    """The signals, and what else happened from `since` (included) to `until` (excluded), in time order.

    None: no bound on that side.
    """
    known = {execution.id for execution in record.executions}
    others = [
        *(
            _entry(entry)
            for entry in record.incident.timeline
            if not (entry.kind in _TOLD_BY_STEPS and entry.data.get("execution") in known)
        ),
        *(event for execution in record.executions for event in _steps(execution, record)),
        *(_word(word, each) for each in record.executions for word in record.approvals.get(each.id, ())),
        *_audited(record),
    ]
    inside = [e for e in others if (since is None or e.at >= since) and (until is None or e.at < until)]
    return tuple(sorted([*map(_seen, distinct(signals)), *inside], key=lambda event: event.at))


def _seen(signal: Signal) -> Event:
    said = f": {code(signal.text)}" if one_line(signal.text) else ""
    return Event(at=signal.at, kind="seen", text=f"{signal.kind} {code(signal.name)}{said}", by=signal.source)


def _entry(entry: TimelineEntry) -> Event:
    kinds: dict[str, EventKind] = {"recommended": "recommended", "decided": "decided"}
    text = f"{entry.kind.replace('_', ' ')}: {one_line(entry.text)}"
    if entry.kind in kinds:
        return Event(at=entry.at, kind=kinds[entry.kind], text=one_line(entry.text), by=SUTURE)
    kind: EventKind = "status" if entry.kind in _STATUSES else "noted"
    return Event(at=entry.at, kind=kind, text=text, by=str(entry.data.get("by", SUTURE)))


def _steps(execution: Execution, record: Record) -> Iterator[Event]:
    actors = {
        (entry.data.get("step"), entry.data.get("detail")): entry.actor
        for entry in record.audit
        if entry.subject == execution.id
    }
    for step in told(execution):
        detail = f", {one_line(step.detail)}" if step.detail and step.detail != step.state else ""
        by = actors.get((step.name, step.detail), SUTURE)
        kind = _STEP_KINDS.get(step.name, "decided")
        text = f"{execution.id} ({one_line(execution.candidate.title)}) {step.name}: {step.state}{detail}"
        yield Event(at=step.at, kind=kind, text=text, by=by)


def _word(word: Approval, execution: Execution) -> Event:
    said = "approved" if word.approved else "rejected"
    comment = f": {code(word.comment)}" if one_line(word.comment) else ""
    text = f"{said} {execution.id} ({one_line(execution.candidate.title)}){comment}"
    return Event(at=word.at, kind="decided", text=text, by=word.by)


def _audited(record: Record) -> Iterator[Event]:
    for entry in record.audit:
        if entry.actor != SUTURE and not entry.event.startswith(_TOLD_ELSEWHERE):
            told_of = ", ".join(f"{name} {code(str(value))}" for name, value in sorted(entry.data.items()))
            yield Event(at=entry.at, kind="noted", text=": ".join(filter(None, (entry.event, told_of))), by=entry.actor)


def episodes_of(timeline: Sequence[TimelineEntry]) -> list[list[TimelineEntry]]:
    """The timeline cut where the incident was opened again. A reopening has two entries, `reopened` and `open`."""
    parts: list[list[TimelineEntry]] = [[]]
    for entry in timeline:
        awaits_open = bool(parts[-1]) and parts[-1][0].kind == "reopened" and _never_open(parts[-1])
        if entry.kind == "reopened" or (entry.kind == IncidentStatus.OPEN and not awaits_open):
            parts.append([])
        parts[-1].append(entry)
    return [part for part in parts if part]


def _never_open(part: Sequence[TimelineEntry]) -> bool:
    return all(entry.kind != IncidentStatus.OPEN for entry in part)
