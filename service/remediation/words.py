"""What tickets and timelines say, in Markdown. Texts of the outside are shown as code: data, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from models.domain.base import format_duration
from models.domain.execution import CheckResult, Decision, Execution, StepRecord, Verdict, Verification
from models.domain.incident import Incident, IncidentStatus
from models.domain.recommendation import Advice, Citation, RankedCandidate, Recommendation
from models.domain.runbook import Check
from models.domain.signal import Signal

_SHOWN_SIGNALS = 10
_OTHERS = 3
_UNLIKELY = 0.05
"""A candidate that is less probable is not named among the others."""


def opening(incident: Incident) -> str:
    """The body of a new ticket: what was seen, where, and who suffers."""
    signals = distinct(incident.signals)
    lines = [
        f"**{incident.severity.capitalize()}** in `{incident.environment}`, since {moment(incident.started_at)}.",
        "",
        f"- Impact: {incident.impact.summary or 'not known yet'}",
        f"- Services: {', '.join(incident.services) or 'none named'}",
    ]
    if incident.culprit:
        lines.append(f"- Most probable origin: {incident.culprit.service} ({percent(incident.culprit.probability)})")
    lines += ["", "### Signals", "", *(f"- {signal_line(signal)}" for signal in signals[:_SHOWN_SIGNALS])]
    if len(signals) > _SHOWN_SIGNALS:
        lines.append(f"- and {len(signals) - _SHOWN_SIGNALS} more")
    return "\n".join(lines) + "\n"


def headline(made: Recommendation) -> str:
    """A recommendation in one line."""
    if made.abstained or not made.candidates:
        return f"nothing: {made.abstained.reason if made.abstained else 'no runbook offers an action.'}"
    best = made.candidates[0]
    return f"{best.candidate.title} ({percent(best.probability)}, runbook {best.candidate.runbook})"


def recommendation(made: Recommendation) -> str:
    """What is recommended and why, with its quotes; or why nothing is."""
    if made.abstained or not made.candidates:
        lines = [
            "### No recommendation",
            "",
            made.abstained.reason if made.abstained else "No runbook offers an action.",
        ]
    else:
        lines = _recommended(made)
    if made.similar:
        lines += ["", "**Similar before**", "", *(f"- {one_line(before.words)}" for before in made.similar)]
    if made.advice:
        lines += ["", *_plan(made.advice)]
    if made.gaps:
        lines += ["", "**Not known**", "", *(f"- {gap}" for gap in made.gaps)]
    if made.model and made.model.failure:
        lines += ["", f"The language model {made.model.name} was not used: {made.model.failure}"]
    return "\n".join(lines)


def _recommended(made: Recommendation) -> list[str]:
    best, *others = made.candidates
    lines = [
        f"### Recommended: {best.candidate.title} ({percent(best.probability)})",
        "",
        f"{_act(best.candidate.uses, best.candidate.target)}, risk {best.candidate.risk}, "
        f"runbook `{best.candidate.runbook}`.",
        "",
        f"**Why.** {best.justification}",
    ]
    for citation in best.citations:
        lines += ["", *_quote(citation)]
    worth = [other for other in others if other.probability >= _UNLIKELY][:_OTHERS]
    if worth:
        lines += ["", "**Otherwise**", ""]
        lines += [
            f"- {other.candidate.title} ({percent(other.probability)}, runbook `{other.candidate.runbook}`)"
            for other in worth
        ]
    return lines


def _plan(advice: Sequence[Advice]) -> list[str]:
    """Steps for a person, each with where it stands."""
    lines = ["**To look at** (a plan for a person; none of it is executed)", ""]
    for number, step in enumerate(advice, 1):
        places = ", ".join(f"`{c.document}`, characters {c.start}-{c.end}" for c in step.citations)
        by = "" if step.source == "runbook" else f"; by {step.source}"
        lines.append(f"{number}. {one_line(step.text)} ({places}{by})")
    return lines


def decision(ranked: RankedCandidate, made: Decision) -> str:
    """What the guard said of one candidate."""
    verb = {Verdict.PERMIT: "permitted", Verdict.NEEDS_APPROVAL: "needs approval", Verdict.FORBID: "forbidden"}[
        made.verdict
    ]
    policies = f" (policy {', '.join(made.policies)})" if made.policies else ""
    return f"{ranked.candidate.title}: {verb}: {made.reason}{policies}"


def question(execution: Execution, expires: timedelta) -> str:
    """How a person answers where approval is needed."""
    return (
        f"\n\nIt waits {format_duration(expires)} for a word: `suture approve {execution.id}` or "
        f"`suture reject {execution.id}`, or `POST /v1/executions/{execution.id}/approval`."
    )


def reminder(execution: Execution, expires: datetime, *, escalated: bool) -> str:
    """That people are waited for: those whom policy names, else first the role that may decide, then an admin too."""
    decision = execution.decision
    who = " or ".join(decision.approvers) or ("an admin" if escalated else f"the role {decision.approver_role}")
    left = f"until {moment(expires)}; then a person has the incident"
    return (
        f"{execution.candidate.title} still waits for {who}, {left}: `suture approve {execution.id}` or "
        f"`suture reject {execution.id}`."
    )


def checks(all_of: Iterable[Check]) -> str:
    """Checks as a person reads them."""
    return "; ".join(f"{check.subject} {check.condition}" for check in all_of) or "nothing to check"


def verification(result: Verification) -> str:
    """What was measured after the act, in one line."""
    answers = "; ".join(f"{c.subject} {c.condition} ({_measured(c)})" for c in result.checks)
    return f"{_health(result)}: {answers or 'nothing was measured'}"


def log(execution: Execution) -> str:
    """An execution, step by step, with what was measured before and after."""
    candidate = execution.candidate
    state = str(execution.state).replace("_", " ")
    lines = [
        f"### Execution {execution.id}: {state}",
        "",
        f"{candidate.title}: {_act(candidate.uses, candidate.target)}.",
        "",
    ]
    for step in told(execution):
        detail = step.detail if step.detail != step.state else ""
        if step.name == "verify" and execution.verification:
            detail = _health(execution.verification)
        lines.append(f"- {step.at:%H:%M:%S} {step.name}: {step.state}{f', {detail}' if detail else ''}")
        if step.name == "verify" and execution.verification:
            lines += [f"  - {line}" for line in compared(execution)]
    return "\n".join(lines)


def told(execution: Execution) -> list[StepRecord]:
    """The steps that tell a person something: not the markers of what began, whose end is told."""
    ended = {step.name for step in execution.steps if step.state != "started"}
    return [
        step
        for step in execution.steps
        if (step.name, step.detail) != ("act", "now measured") and not (step.state == "started" and step.name in ended)
    ]


def measured_before(execution: Execution) -> dict[tuple[str, str], CheckResult]:
    """What the checks of the verification measured before the act, by subject and condition."""
    first: dict[tuple[str, str], CheckResult] = {}
    for step in execution.steps:
        # An act's own data is its executor's: what is called "before" there is something else.
        for known in step.data.get("before", ()) if step.name == "preconditions" else ():
            result = CheckResult.model_validate(known)
            first.setdefault((result.subject, result.condition), result)
    return first


def compared(execution: Execution) -> list[str]:
    """Each check of the verification with its value before the act and after it."""
    first = measured_before(execution)
    lines = []
    for check in execution.verification.checks if execution.verification else ():
        before = first.get((check.subject, check.condition))
        change = f"{_measured(before)} before, {_measured(check)} after" if before else f"{_measured(check)} after"
        lines.append(f"{code(check.subject)}: {change}; wanted {check.condition}")
    return lines


def ending(incident: Incident, executions: Sequence[Execution]) -> str:
    """How the incident ended, or why a person must act: the last words in its ticket."""
    last = next((entry for entry in reversed(incident.timeline) if entry.kind == incident.status), None)
    reason, data = (last.text, last.data) if last else ("", {})
    if incident.status is IncidentStatus.ESCALATED:
        return f"**A person must act.** {reason}"
    helped = next((e for e in executions if e.id == data.get("execution")), None)
    if helped is not None and helped.verification is not None:
        what = f"{incident.id} is resolved by {helped.candidate.title} ({helped.id}): {_health(helped.verification)}."
        return "\n".join([what, "", *(f"- {line}" for line in compared(helped))])
    by = f" by {data['by']}" if "by" in data else ""
    return f"{incident.id} is {incident.status}{by}: {reason}"


def regrouped(incident: Incident, owed: str) -> str | None:
    """What a person merged into the incident, or split off it, where that is what its ticket is owed."""
    kind = owed.split(" ", maxsplit=1)[0]
    if kind not in ("merged", "split"):
        return None
    last = next((entry for entry in reversed(incident.timeline) if entry.kind == kind), None)
    return f"**{kind.capitalize()} by {code(str(last.data.get('by', '')))}.** {code(last.text)}" if last else None


def distinct(signals: Iterable[Signal]) -> list[Signal]:
    """Of signals of one kind of thing only the first: a list of twenty repeats hides what else there is."""
    found: dict[str, Signal] = {}
    for signal in signals:
        found.setdefault(signal.fingerprint, signal)
    return list(found.values())


def signal_line(signal: Signal) -> str:
    """A signal in one line: what it is called, when it came, and what it says."""
    said = f": {code(signal.text)}" if one_line(signal.text) else ""
    return f"{signal.kind} {code(signal.name)} at {signal.at:%H:%M:%S}{said}"


def moment(at: datetime) -> str:
    """A time for people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def lasting(duration: timedelta) -> str:
    """A duration for people: a precision that its length is worth."""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """A probability for people; never 0 or 100, which would be a certainty."""
    return "below 1%" if share < 0.01 else "above 99%" if share > 0.99 else f"{share:.0%}"


def code(text: str) -> str:
    """A text of the outside in one line of code, so that nothing in it is read as Markdown."""
    inside = one_line(text).replace("`", "'")
    return f"`{inside}`"


def one_line(text: str) -> str:
    """The text without line breaks: a heading in it must not become a heading of the document."""
    return " ".join(text.split())


def _act(uses: str, target: str) -> str:
    return f"`{uses}` on `{target}`"


def _quote(citation: Citation) -> list[str]:
    place = f"`{citation.document}`, characters {citation.start}-{citation.end}"
    if "signal." in citation.quote:
        return [f"> {code(citation.quote)}", ">", f"> trigger of {place}"]
    return [f"> {one_line(citation.quote)}", ">", f"> {place}"]


def _health(result: Verification) -> str:
    return f"{str(result.health).replace('_', ' ')} after {lasting(result.took)}"


def _measured(check: CheckResult) -> str:
    values: Sequence[Any] = check.values[:5]
    return ", ".join(f"{value:.4g}" for value in values) or check.detail or "no data"
