"""What tickets and timelines say, in Markdown. Texts of the outside are shown as quoted data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.domain.base import format_duration
from models.domain.execution import Decision, Execution, Verdict, Verification
from models.domain.incident import Incident, IncidentStatus
from models.domain.recommendation import RankedCandidate, Recommendation
from models.domain.runbook import Check


def opening(incident: Incident) -> str:
    """The body of a new ticket: what was seen, where, and who suffers."""
    signals = "\n".join(
        f"- {signal.kind}: {signal.name} (since {signal.at.isoformat()})" for signal in incident.signals
    )
    return (
        f"Severity **{incident.severity}** in environment `{incident.environment}`; services: "
        f"{', '.join(incident.services) or 'unknown'}.\n\n**Impact.** {incident.impact.summary or 'not known yet'}\n\n"
        f"**Signals**\n{signals}\n"
    )


def recommendation(made: Recommendation) -> str:
    """What is recommended and why, with its quotes; or why nothing is."""
    lines = []
    if made.abstained:
        lines.append(f"**No recommendation.** {made.abstained.reason}")
    elif made.candidates:
        best = made.candidates[0]
        lines.append(f"**Recommended:** {best.candidate.title} ({best.probability:.0%})")
    for place, ranked in enumerate(made.candidates if not made.abstained else (), 1):
        lines.append(f"{place}. {ranked.candidate.title}: {ranked.probability:.0%}. {ranked.justification}")
        lines.extend(f"   > {_one_line(c.quote)} ({c.document}, {c.start}-{c.end})" for c in ranked.citations)
    lines.extend(f"Similar before: {c.document}: > {_one_line(c.quote)}" for c in made.similar)
    lines.extend(f"Advice: {advice.text}" for advice in made.advice)
    lines.extend(f"Gap: {gap}" for gap in made.gaps)
    if made.model and made.model.failure:
        lines.append(f"The language model {made.model.name} was not used: {made.model.failure}")
    return "\n".join(lines) or "**No recommendation.** No runbook offers an action."


def decision(ranked: RankedCandidate, made: Decision) -> str:
    """What the guard said of one candidate."""
    verb = {Verdict.PERMIT: "permitted", Verdict.NEEDS_APPROVAL: "needs approval", Verdict.FORBID: "forbidden"}[
        made.verdict
    ]
    policies = f" [policies: {', '.join(made.policies)}]" if made.policies else ""
    return f"{ranked.candidate.title}: {verb}: {made.reason}{policies}"


def checks(all_of: Iterable[Check]) -> str:
    """Checks as a person reads them."""
    return "; ".join(f"{check.subject} {check.condition}" for check in all_of) or "nothing to check"


def verification(result: Verification) -> str:
    """What was measured after the act."""
    answers = "; ".join(
        f"{c.subject} {c.condition}: {_answer(c.passed)} ({_values(c.values, c.detail)})" for c in result.checks
    )
    health = str(result.health).replace("_", " ")
    return f"{health} after {format_duration(result.took)}: {answers or 'nothing was measured'}"


def log(execution: Execution) -> str:
    """The execution's steps, as its log in the ticket."""
    head = f"**Execution {execution.id}** ({execution.candidate.title}): {execution.state}"
    steps = [f"- {s.at.isoformat(timespec='seconds')} {s.name}: {s.state}. {s.detail}" for s in execution.steps]
    return "\n".join([head, *steps])


def ending(incident: Incident, executions: Sequence[Execution]) -> str:
    """How the incident ended, or why a person must act: the last words in its ticket."""
    last = next((entry for entry in reversed(incident.timeline) if entry.kind == incident.status), None)
    reason, data = (last.text, last.data) if last else ("", {})
    if incident.status is IncidentStatus.ESCALATED:
        return f"**A person must act.** {reason}"
    helped = next((e for e in executions if e.id == data.get("execution")), None)
    if helped is not None and helped.verification is not None:
        return (
            f"{incident.id} is resolved by {helped.candidate.title} ({helped.id}): {verification(helped.verification)}"
        )
    by = f" by {data['by']}" if "by" in data else ""
    return f"{incident.id} is {incident.status}{by}: {reason}"


def _answer(passed: bool | None) -> str:
    return {True: "yes", False: "no", None: "not measurable"}[passed]


def _values(values: Sequence[float], detail: str) -> str:
    return ", ".join(f"{value:g}" for value in values[:5]) or detail or "no data"


def _one_line(text: str) -> str:
    return " ".join(text.split())
