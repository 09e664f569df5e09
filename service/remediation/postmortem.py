"""The postmortem draft: one episode of an incident told from its record, for the corpus and for people to finish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import yaml

from models.domain.execution import Execution, ExecutionState
from models.domain.incident import Incident, IncidentStatus
from models.domain.signal import Signal
from retrieval.signature import Moves, signature_of
from service.incident_report import report
from service.remediation import words
from service.reporting.facts import SUTURE, Attempt, Episode
from service.reporting.markdown import event_line, times
from service.reporting.record import Record


def document_of(incident: Incident) -> str:
    """The id of the draft of the incident's present episode: a reopened incident gets another one."""
    return incident.id.lower() + (f"-{incident.episode}" if incident.episode > 1 else "")


def draft(record: Record) -> str:
    """The document: front matter, then sections that retrieval can cut by their headings.

    Of an earlier episode of the same incident nothing is told again.
    """
    incident, episode = record.incident, report(record).episodes[-1]
    tried = {attempt.execution for attempt in episode.attempts}
    executions = [execution for execution in record.executions if execution.id in tried]
    made = {recommended.id for recommended in episode.recommended}
    recommendation = next((each for each in reversed(record.recommendations) if each.id in made), None)
    sections = {
        "Symptoms": _symptoms(incident, episode.times.started_at),
        "Impact": incident.impact.summary or "Not measured.",
        "Cause": _cause(incident),
        "What was recommended": _inner(words.recommendation(recommendation)) if recommendation else "Nothing.",
        "What was done": _done(executions),
        "Times": "\n".join(times(episode.times)),
        "Timeline": "\n".join(event_line(event) for event in episode.timeline if event.kind != "seen"),
        "Learnings": "\n".join(f"- {learning}" for learning in episode.learnings) or "- To be written.",
    }
    head = f"---\n{yaml.safe_dump(_front(incident, episode), sort_keys=False, allow_unicode=True)}---\n"
    title = f"# {words.one_line(incident.title)}\n"
    remark = "_Draft, written from the record. People finish the sections Cause and Learnings._\n"
    body = [f"## {name}\n\n{text}\n" for name, text in sections.items()]
    return "\n".join([head, title, _summary(incident, episode) + "\n", remark, *body])


def _front(incident: Incident, episode: Episode) -> dict[str, Any]:
    return {
        "kind": "postmortem",
        "id": document_of(incident),
        "title": words.one_line(incident.title),
        "incident": incident.id,
        "services": list(incident.services),
        "severity": str(incident.severity),
        "environment": incident.environment,
        "started_at": episode.times.started_at.isoformat(timespec="seconds"),
        "moved": [{"metric": metric, "direction": direction} for metric, direction in _moves(incident, episode)],
    }


def _moves(incident: Incident, episode: Episode) -> Moves:
    """What retrieval later finds it by where no word is shared."""
    own = _of_episode(incident, episode.times.started_at)
    return signature_of(incident.model_copy(update={"signals": own}))


def _summary(incident: Incident, episode: Episode) -> str:
    """One sentence: what broke and what helped. It is what a later incident's recommendation quotes."""
    seen, helped = f"{words.one_line(incident.title)} in {incident.environment}", episode.helped
    if helped is None:
        tried = "; ".join(_fell_short(one) for one in episode.attempts if one.acted_at or one.ended_at_stage == "act")
        tried = tried or "no action of Suture resolved it"
        ended = (
            f", {episode.ended_as} by {episode.ended_by}: {episode.ending.rstrip('.')}" if _by_person(episode) else ""
        )
        return f"{seen}{ended}; {tried}."
    took = helped.verified_in_seconds
    later = f" {words.lasting(timedelta(seconds=took))} later" if took is not None else ""
    return f"{seen}, resolved by {_act(helped)}, measured healthy{later}."


def _fell_short(one: Attempt) -> str:
    how = {ExecutionState.UNCERTAIN: "ended uncertain", ExecutionState.CANCELLED: "was cancelled"}.get(one.state)
    return f"{_act(one)} {how or ('did not help' if one.ended_at_stage == 'verification' else 'failed')}"


def _act(one: Attempt) -> str:
    return f'"{one.title}" ({one.uses} on {one.target})'


def _by_person(episode: Episode) -> bool:
    return episode.ended_as in (IncidentStatus.RESOLVED, IncidentStatus.CLOSED) and episode.ended_by != SUTURE


def _symptoms(incident: Incident, began: datetime) -> str:
    return "\n".join(f"- {words.signal_line(signal)}" for signal in words.distinct(_of_episode(incident, began)))


def _of_episode(incident: Incident, began: datetime) -> tuple[Signal, ...]:
    return tuple(signal for signal in incident.signals if signal.at >= began) or incident.signals


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
