"""The postmortem draft: one episode of an incident told from its record, for the corpus and for people to finish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import yaml

from models.domain.execution import Execution, ExecutionState
from models.domain.incident import Incident, TimelineEntry
from models.domain.recommendation import Recommendation
from service.remediation import words


def document_of(incident: Incident) -> str:
    """The id of the draft of the incident's present episode: a reopened incident gets another one."""
    return incident.id.lower() + (f"-{incident.episode}" if incident.episode > 1 else "")


def draft(incident: Incident, recommendation: Recommendation, executions: Sequence[Execution]) -> str:
    """The document: front matter, then sections that retrieval can cut by their headings.

    Of an earlier episode of the same incident nothing is told again.
    """
    timeline = episode_of(incident)
    began = timeline[0].at if incident.episode > 1 and timeline else incident.started_at
    own = [execution for execution in executions if execution.created_at >= began]
    sections = {
        "Symptoms": _symptoms(incident, began),
        "Impact": incident.impact.summary or "Not measured.",
        "Cause": _cause(incident),
        "What was recommended": _inner(words.recommendation(recommendation)),
        "What was done": _done(own),
        "Times": _times(incident, timeline, began, own),
        "Timeline": _timeline(timeline),
        "Learnings": "- To be written.",
    }
    head = f"---\n{yaml.safe_dump(_front(incident, began), sort_keys=False, allow_unicode=True)}---\n"
    title = f"# {words.one_line(incident.title)}\n"
    remark = "_Draft, written from the record. People finish the sections Cause and Learnings._\n"
    body = [f"## {name}\n\n{text}\n" for name, text in sections.items()]
    return "\n".join([head, title, _summary(incident, own) + "\n", remark, *body])


def episode_of(incident: Incident) -> tuple[TimelineEntry, ...]:
    """The timeline from where the incident was opened, or last reopened."""
    starts = [place for place, entry in enumerate(incident.timeline) if entry.kind == "reopened"]
    return incident.timeline[starts[-1] :] if starts else incident.timeline


def _front(incident: Incident, began: datetime) -> dict[str, Any]:
    return {
        "kind": "postmortem",
        "id": document_of(incident),
        "title": words.one_line(incident.title),
        "incident": incident.id,
        "services": list(incident.services),
        "severity": str(incident.severity),
        "environment": incident.environment,
        "started_at": began.isoformat(timespec="seconds"),
    }


def _summary(incident: Incident, executions: Sequence[Execution]) -> str:
    """One sentence: what broke and what helped. It is what a later incident's recommendation quotes."""
    seen = words.one_line(incident.title)
    helped = next((one for one in reversed(executions) if one.state is ExecutionState.SUCCEEDED), None)
    if helped is None:
        return f"{seen} in {incident.environment}; no action of Suture resolved it."
    took = f" {words.lasting(helped.verification.took)} later" if helped.verification else ""
    act = f'"{helped.candidate.title}" ({helped.candidate.uses} on {helped.candidate.target})'
    return f"{seen} in {incident.environment}, resolved by {act}, measured healthy{took}."


def _symptoms(incident: Incident, began: datetime) -> str:
    own = [signal for signal in incident.signals if signal.at >= began] or list(incident.signals)
    return "\n".join(f"- {words.signal_line(signal)}" for signal in words.distinct(own))


def _cause(incident: Incident) -> str:
    if incident.culprit is None:
        return "Not known."
    culprit = incident.culprit
    return f"Most probable origin: {culprit.service} ({words.percent(culprit.probability)}). {culprit.reason}"


def _done(executions: Sequence[Execution]) -> str:
    return "\n\n".join(_inner(words.log(one)) for one in executions) or "Nothing was executed."


def _inner(text: str) -> str:
    """A ticket's text as part of a section: its heading in bold, so that the section stays one."""
    head, _, rest = text.partition("\n")
    return f"**{head.removeprefix('### ')}**\n{rest}"


def _timeline(timeline: Sequence[TimelineEntry]) -> str:
    return "\n".join(f"- {entry.at:%H:%M:%S} {entry.kind}: {words.one_line(entry.text)}" for entry in timeline)


def _times(
    incident: Incident, timeline: Sequence[TimelineEntry], began: datetime, executions: Sequence[Execution]
) -> str:
    acted = [step.at for one in executions for step in one.steps if step.name == "act" and step.state == "done"]
    marks = {
        "Detected": incident.detected_at if incident.episode == 1 else began,
        "Recommended": next((entry.at for entry in timeline if entry.kind == "recommended"), None),
        "Acted": min(acted) if acted else None,
        "Resolved": incident.ended_at,
    }
    lines = [f"- Began: {words.moment(began)}"]
    lines += [f"- {name}: {_after(began, at)}" for name, at in marks.items()]
    return "\n".join(lines)


def _after(start: datetime, end: datetime | None) -> str:
    return "not reached" if end is None else f"{words.lasting(max(end - start, timedelta(0)))} after that"
