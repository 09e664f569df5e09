"""The report on an incident: its record in, typed facts out, as JSON or as Markdown. Nothing in it is invented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from models.domain.incident import WORKING_STATUSES, Incident, IncidentStatus, TimelineEntry
from models.domain.recommendation import Citation, Recommendation
from models.domain.signal import Signal
from service.remediation.words import one_line, percent
from service.reporting.attempts import attempt_of
from service.reporting.events import episodes_of, events_of
from service.reporting.facts import (
    SUTURE,
    Attempt,
    Episode,
    Event,
    IncidentReport,
    Offer,
    Reached,
    Recommended,
    Refusal,
    Times,
)
from service.reporting.learnings import learnings
from service.reporting.markdown import markdown
from service.reporting.record import Record, collect, record_of, records_since

__all__ = ["IncidentReport", "Record", "collect", "markdown", "record_of", "records_since", "report"]


def report(record: Record) -> IncidentReport:
    """Everything that is known of the record's incident."""
    incident = record.incident
    episodes = tuple(_episodes(record))
    quoted = [cited for one in episodes for made in one.recommended for cited in _citations(made)]
    return IncidentReport(
        incident=incident.id,
        title=one_line(incident.title),
        severity=incident.severity,
        status=incident.status,
        environment=incident.environment,
        services=incident.services,
        impact=one_line(incident.impact.summary),
        cause=_cause(incident),
        episodes=episodes,
        citations=tuple(dict.fromkeys(quoted)),
    )


def _cause(incident: Incident) -> str:
    if incident.culprit is None:
        return ""
    culprit = incident.culprit
    return one_line(f"{culprit.service} ({percent(culprit.probability)}): {culprit.reason}".rstrip(": "))


def _citations(made: Recommended) -> Iterator[Citation]:
    for offer in made.offers:
        yield from offer.citations
    yield from made.similar


def _episodes(record: Record) -> Iterator[Episode]:
    parts = episodes_of(record.incident.timeline) or [[]]
    # The first begins with its signals, which are older than the incident.
    starts = [None, *(part[0].at for part in parts[1:])]
    before: Episode | None = None
    for number, (part, start) in enumerate(zip(parts, starts, strict=True), 1):
        end = starts[number] if number < len(starts) else None
        before = _episode(record, number, part, start, end, before)
        yield before


def _episode(
    record: Record,
    number: int,
    part: Sequence[TimelineEntry],
    start: datetime | None,
    end: datetime | None,
    before: Episode | None,
) -> Episode:
    last = next((entry for entry in reversed(part) if entry.kind in frozenset(IncidentStatus)), None)
    ended = last if last is not None and last.kind not in WORKING_STATUSES else None
    # What came after its end is of the next one, where there is one.
    signals = _signals_of(record.incident, before, ended.at if ended and end else None)
    made = [each for each in record.recommendations if _within(each.created_at, start, end)]
    attempts = tuple(
        attempt_of(each, record.approvals.get(each.id, ()), made)
        for each in record.executions
        if _within(each.created_at, start, end)
    )
    events = events_of(record, signals, start, end)
    handed = next((entry for entry in reversed(part) if entry.kind == IncidentStatus.ESCALATED), None)
    episode = Episode(
        number=number,
        times=_times(record.incident, number, part, signals, attempts, events),
        handed_over=one_line(handed.text) if handed else None,
        ended_as=IncidentStatus(ended.kind) if ended else None,
        ended_at=ended.at if ended else None,
        ended_by=str(ended.data.get("by", SUTURE)) if ended else None,
        ending=one_line(ended.text) if ended else "",
        recommended=tuple(_recommended(each, attempts) for each in made),
        attempts=attempts,
        refusals=tuple(_refusals(part)),
        timeline=events,
    )
    return episode.model_copy(update={"learnings": learnings(episode, signals, before)})


def _within(at: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or at >= start) and (end is None or at < end)


def _signals_of(incident: Incident, before: Episode | None, end: datetime | None) -> list[Signal]:
    """The signals after the end of the episode before, up to `end`."""
    since = before.ended_at if before else None
    own = [s for s in incident.signals if (since is None or s.at > since) and (end is None or s.at <= end)]
    return sorted(own, key=lambda signal: signal.at)


def _began(signals: Sequence[Signal], opened: datetime) -> datetime:
    return min([opened, *(signal.at for signal in signals)])


def _times(
    incident: Incident,
    number: int,
    part: Sequence[TimelineEntry],
    signals: Sequence[Signal],
    attempts: Sequence[Attempt],
    events: Iterable[Event],
) -> Times:
    opened = part[0].at if part else incident.detected_at
    # The first episode's signals may be more than an incident keeps.
    began = min(incident.started_at, opened) if number == 1 else _began(signals, opened)

    def reached(at: datetime, by: str) -> Reached:
        return Reached(at=at, seconds=max(0.0, (at - began).total_seconds()), by=by)

    acknowledged = _acknowledged(part, events)
    mitigated = next((one.acted_at for one in attempts if one.ended_at_stage is None and one.health == "healthy"), None)
    resolved = next((entry for entry in reversed(part) if entry.kind == IncidentStatus.RESOLVED), None)
    return Times(
        started_at=began,
        detect=reached(opened, SUTURE),
        acknowledge=reached(*acknowledged) if acknowledged else None,
        mitigate=reached(mitigated, SUTURE) if mitigated else None,
        resolve=reached(resolved.at, str(resolved.data.get("by", SUTURE))) if resolved else None,
    )


def _acknowledged(part: Sequence[TimelineEntry], events: Iterable[Event]) -> tuple[datetime, str] | None:
    began = [(entry.at, SUTURE) for entry in part if entry.kind == IncidentStatus.INVESTIGATING]
    spoke = [(event.at, event.by) for event in events if event.kind != "seen" and event.by != SUTURE]
    return min([*began, *spoke], default=None, key=lambda one: one[0])


def _refusals(part: Sequence[TimelineEntry]) -> Iterator[Refusal]:
    for entry in part:
        if entry.kind == "decided" and entry.data.get("verdict") == "forbid":
            yield Refusal(at=entry.at, text=one_line(entry.text), policies=tuple(entry.data.get("policies", ())))


def _recommended(made: Recommendation, attempts: Sequence[Attempt]) -> Recommended:
    """With the quotes of what came first, and of what was tried."""
    tried = {(one.runbook, one.action) for one in attempts}
    offers = [
        Offer(
            runbook=ranked.candidate.runbook,
            action=ranked.candidate.action,
            title=one_line(ranked.candidate.title),
            probability=ranked.probability,
            citations=ranked.citations
            if place == 0 or (ranked.candidate.runbook, ranked.candidate.action) in tried
            else (),
        )
        for place, ranked in enumerate(made.candidates)
    ]
    return Recommended(
        id=made.id,
        at=made.created_at,
        abstained=one_line(made.abstained.reason) if made.abstained else None,
        offers=tuple(offers),
        gaps=made.gaps,
        similar=made.similar,
        model=made.model.name if made.model and made.model.failure is None else None,
    )
