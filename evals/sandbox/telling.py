"""What a stage of an episode says: a line, and the lines that it rests on. Made from what the REST API answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from models.domain.execution import Execution, StepRecord, Verdict
from models.domain.incident import Incident
from models.domain.recommendation import Citation, Recommendation
from service.remediation.words import compared, distinct, headline, lasting, one_line, percent

SIGNALS = 3
"""Signals of an incident that are shown; the others are counted."""
SIMILAR = 2
"""Past incidents that are shown."""
TRIGGER = 60
"""Characters of a trigger that are shown: it is there to be recognised, not to be read."""
LONG = 100
"""Characters from which label matchers are left out."""
_MATCHERS = re.compile(r"\{[^{}]*\}")
_VERDICTS = {
    Verdict.PERMIT: "permitted",
    Verdict.NEEDS_APPROVAL: "a person is asked",
    Verdict.FORBID: "forbidden",
}


class Said(NamedTuple):
    """A line, and the lines below it."""

    text: str
    details: tuple[str, ...] = ()


def seen(incident: Incident, since: datetime) -> Said:
    """What was detected: signals from `since` on, the gravest first."""
    own = distinct(signal for signal in incident.signals if signal.at >= since)
    ordered = sorted(own, key=lambda signal: (-signal.severity.rank, signal.at))
    lines = [one_line(signal.text) or signal.name for signal in ordered[:SIGNALS]]
    if len(ordered) > SIGNALS:
        lines.append(f"and {len(ordered) - SIGNALS} more signals")
    how = "reopened" if incident.episode > 1 else "opened"
    impact = f"impact: {incident.impact.summary}" if incident.impact.summary else ""
    return Said(f"{incident.id} {how}: {incident.title} ({incident.severity})", _lines([*lines, impact]))


def found(made: Recommendation) -> Said:
    """What is recommended and why; or why nothing is."""
    before = [f"seen before, {one_line(one.words)}" for one in made.similar[:SIMILAR]]
    if made.abstained is not None or not made.candidates:
        return Said(headline(made), _lines(before))
    best = made.candidates[0]
    return Said(headline(made), _lines([best.justification, *map(_quoted, best.citations), *before]))


def decided(execution: Execution, *, first: bool = True) -> Said:
    """What the guard said; of a candidate after the first, which one it is."""
    decision = execution.decision
    policies = f" (policy {', '.join(decision.policies)})" if decision.policies else ""
    which = "" if first else f"{execution.candidate.title} ({probability(execution)}) is next; "
    return Said(f"{which}{_VERDICTS[decision.verdict]}: {decision.reason}{policies}")


def done(execution: Execution, act: StepRecord) -> Said:
    """What was done, with the process ids where it was a process, and what the target said against it."""
    pids = [str(act.data[key]) for key in ("before_pid", "pid") if act.data.get(key)]
    changed = f", process id {' → '.join(pids)}" if len(pids) == 2 else ""
    against = (act.detail,) if act.detail not in ("", "done") else ()
    return Said(f"{execution.candidate.uses} on {execution.candidate.target}{changed}", against)


def verified(execution: Execution) -> Said:
    """What was measured, before the act and after it."""
    took = f" {lasting(execution.verification.took)} after the action" if execution.verification else ""
    return Said(f"measured healthy{took}", tuple(_short(line.replace("`", "")) for line in compared(execution)))


def failed(execution: Execution) -> Said:
    """How an execution ended that did not help, and what was undone."""
    last = execution.steps[-1].detail if execution.steps else ""
    measured = tuple(_short(line.replace("`", "")) for line in compared(execution))
    rollback = execution.candidate.rollback
    if execution.state == "rolled_back" and rollback is not None:
        undone = f"undone by {rollback.uses} {' '.join(str(value) for value in rollback.arguments.values())}"
        return Said("measured not healthy, and rolled back", (*measured, undone))
    return Said(f"{execution.state}: {last}", measured)


def handed(incident: Incident, ticket: dict[str, Any]) -> Said:
    """Why a person must act."""
    reason = next((one.text for one in reversed(incident.timeline) if one.kind == "escalated"), "")
    told = f"ticket {ticket['reference']} says so, with all of the above"
    return Said(f"a person must act: {one_line(reason)}", (told,))


def closed(ticket: dict[str, Any], document: str) -> Said:
    """What stays: the ticket, and the postmortem draft of that id."""
    return Said(
        f"ticket {ticket['reference']}, with all of the above",
        (f"postmortem draft {document} is in the corpus: the next similar incident finds it",),
    )


def probability(execution: Execution) -> str:
    """How sure the recommendation is of an execution."""
    return percent(execution.probability)


def _quoted(citation: Citation) -> str:
    quote = one_line(citation.quote)
    if "signal." in quote:
        short = quote if len(quote) <= TRIGGER else f"{quote[: TRIGGER - 1].rstrip()}…"
        return f"trigger of {citation.document}: {short}"
    return f"“{quote}” ({citation.document})"


def _short(text: str) -> str:
    """A line of PromQL that is long even without its label matchers is read best without them."""
    return _MATCHERS.sub("{…}", text) if len(text) > LONG else text


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if text)
