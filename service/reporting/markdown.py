"""A report as Markdown for people. Texts of the outside stand on one line, so that no heading in them becomes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from service.remediation.words import code, lasting, moment, one_line, percent
from service.reporting.facts import SUTURE, Attempt, Episode, Event, IncidentReport, Measured, Reached, Reading, Times

_SHOWN_SIGNALS = 20
_SHOWN_VALUES = 5


def markdown(report: IncidentReport) -> str:
    """The whole report."""
    head = [
        f"# {report.incident}: {one_line(report.title)}",
        f"**{report.severity.capitalize()}** in {code(report.environment)}, status {report.status}.",
        f"- Services: {', '.join(map(code, report.services)) or 'none named'}\n"
        f"- Impact: {report.impact or 'not measured'}\n"
        f"- Most probable origin: {report.cause or 'not known'}",
    ]
    several = len(report.episodes) > 1
    body = [block for episode in report.episodes for block in _episode(episode, several=several)]
    quotes = [f"- {code(c.document)}, characters {c.start}-{c.end}: {code(c.quote)}" for c in report.citations]
    text = "\n\n".join([*head, *body, "## Citations", "\n".join(quotes) or "Nothing was cited."]) + "\n"
    # What comes from outside may hold sequences that a terminal would obey.
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def times(of: Times) -> list[str]:
    """The milestones as a list."""
    marks: dict[str, Reached | None] = {
        "Detected": of.detect, "Acknowledged": of.acknowledge, "Mitigated": of.mitigate, "Resolved": of.resolve,
    }  # fmt: skip
    return [f"- Began: {moment(of.started_at)}", *(f"- {name}: {_reached(at)}" for name, at in marks.items())]


def event_line(event: Event) -> str:
    """One line of the timeline."""
    by = f" ({one_line(event.by)})" if event.by != SUTURE else ""
    return f"- {event.at:%F %T} {event.kind}{by}: {one_line(event.text)}"


def _episode(episode: Episode, *, several: bool) -> Iterator[str]:
    if several:
        yield f"## Episode {episode.number}"
    level = "###" if several else "##"
    yield _ending(episode)
    yield f"{level} Times"
    yield "\n".join(times(episode.times))
    yield f"{level} What was recommended"
    yield "\n".join(_recommended(episode)) or "Nothing: it did not come to that."
    yield f"{level} What was tried"
    yield "\n\n".join(map(_attempt, episode.attempts)) or "Nothing was tried."
    if episode.refusals:
        yield "\n".join(f"- forbidden: {refusal.text}" for refusal in episode.refusals)
    yield f"{level} Learnings"
    yield "\n".join(f"- {learning}" for learning in episode.learnings) or "None that follow from the record alone."
    yield f"{level} Timeline"
    yield "\n".join(_timeline(episode.timeline))


def _ending(episode: Episode) -> str:
    if episode.ended_as is None:
        return "It has not ended yet."
    by = f" by {one_line(episode.ended_by)}" if episode.ended_by not in (None, SUTURE) else ""
    return f"It ended as {episode.ended_as}{by}: {episode.ending}"


def _reached(at: Reached | None) -> str:
    if at is None:
        return "not reached"
    return f"{lasting(timedelta(seconds=at.seconds))} after that, by {one_line(at.by)}"


def _recommended(episode: Episode) -> Iterator[str]:
    for made in episode.recommended:
        if made.abstained:
            yield f"- Nothing: {made.abstained}"
            continue
        for place, offer in enumerate(made.offers, 1):
            yield f"{place}. {offer.title} ({percent(offer.probability)}, runbook {code(offer.runbook)})"


def _attempt(one: Attempt) -> str:
    state = one.state.replace("_", " ")
    lines = [
        f"**{one.title}** ({one.execution}): {state}",
        "",
        f"- {code(one.uses)} on {code(one.target)}, risk {one.risk}, {percent(one.probability)}, "
        f"runbook {code(one.runbook)}",
        f"- decided: {one.verdict.replace('_', ' ')}, {one_line(one.reason)}",
    ]
    if one.requested_by:
        lines.append(f"- asked for by {one_line(one.requested_by)}")
    for word in one.words:
        said = "approved" if word.approved else "rejected"
        comment = f": {code(word.comment)}" if word.comment else ""
        waited = lasting(timedelta(seconds=word.waited_seconds))
        lines.append(f"- {said} by {one_line(word.by)} after {waited}{comment}")
    if one.why:
        lines.append(f"- ended: {one.why}")
    return "\n".join([*lines, *map(_measured, one.measured)])


def _measured(check: Measured) -> str:
    before = f"{_reading(check.before)} before, " if check.before else ""
    return f"- measured {code(check.subject)}: {before}{_reading(check.after)} after; wanted {check.condition}"


def _reading(reading: Reading) -> str:
    return ", ".join(f"{value:.4g}" for value in reading.values[:_SHOWN_VALUES]) or reading.detail or "no data"


def _timeline(events: Sequence[Event]) -> Iterator[str]:
    seen = 0
    for event in events:
        seen += event.kind == "seen"
        if event.kind != "seen" or seen <= _SHOWN_SIGNALS:
            yield event_line(event)
    if seen > _SHOWN_SIGNALS:
        yield f"- and {seen - _SHOWN_SIGNALS} more signals"
