"""The postmortem draft: one incident told from its record, as Markdown for the corpus and for people to finish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import yaml

from models.domain.base import format_duration
from models.domain.execution import Execution
from models.domain.incident import Incident
from models.domain.recommendation import Recommendation
from service.remediation import words


def draft(incident: Incident, recommendation: Recommendation, executions: Sequence[Execution]) -> str:
    """The document: front matter, then sections that retrieval can cut by their headings."""
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(_front(incident), sort_keys=False, allow_unicode=True)}---",
            f"# {incident.title}\n",
            "_Draft, written from the record. Finish the sections Cause and Learnings._\n",
            f"## Symptoms\n\n{_symptoms(incident)}\n",
            f"## Impact\n\n{incident.impact.summary or 'Not measured.'}\n",
            f"## Cause\n\n{_cause(incident)}\n",
            f"## What was recommended\n\n{words.recommendation(recommendation)}\n",
            f"## What was done\n\n{_done(executions)}\n",
            f"## Timeline\n\n{_timeline(incident)}\n",
            f"## Times\n\n{_times(incident, executions)}\n",
            "## Learnings\n\n- To be written.\n",
        ]
    )


def _front(incident: Incident) -> dict[str, Any]:
    return {
        "kind": "postmortem",
        "id": incident.id.lower(),
        "title": incident.title,
        "incident": incident.id,
        "services": list(incident.services),
        "severity": str(incident.severity),
        "environment": incident.environment,
        "started_at": incident.started_at.isoformat(),
    }


def _symptoms(incident: Incident) -> str:
    return "\n".join(
        f"- {_escape(signal.name)}{f' ({signal.metric} went {signal.direction})' if signal.direction else ''}"
        + (f": {_escape(signal.text)}" if signal.text else "")
        for signal in incident.signals
    )


def _cause(incident: Incident) -> str:
    if incident.culprit is None:
        return "Not known."
    culprit = incident.culprit
    return f"Most probable origin: {culprit.service} ({culprit.probability:.0%}). {culprit.reason}"


def _done(executions: Sequence[Execution]) -> str:
    return "\n\n".join(words.log(execution) for execution in executions) or "Nothing was executed."


def _timeline(incident: Incident) -> str:
    return "\n".join(f"- {e.at.isoformat(timespec='seconds')} {e.kind}: {_escape(e.text)}" for e in incident.timeline)


def _times(incident: Incident, executions: Sequence[Execution]) -> str:
    acted = [e.started_at for e in executions if e.started_at]
    marks = {
        "detect": incident.detected_at,
        "mitigate": max(acted) if acted else None,
        "resolve": incident.ended_at,
    }
    return "\n".join(f"- Time to {name}: {_span(incident.started_at, at)}" for name, at in marks.items())


def _span(start: datetime, end: datetime | None) -> str:
    if end is None:
        return "not reached"
    return format_duration(max(end - start, timedelta(0)))


def _escape(text: str) -> str:
    # One line each: a heading in an alert's text must not become a heading of the document.
    return " ".join(text.split())
