"""The reasons for a candidate, in plain sentences made from its evidence alone."""

from __future__ import annotations

from models.ranking.evidence import CandidateEvidence, DiagnosisAnswer

MAX_TRIGGER = 160
"""Characters of a trigger that are shown."""


def justify(item: CandidateEvidence) -> str:
    """What speaks for the candidate and what against it, strongest kind of evidence first."""
    sentences = [
        _trigger(item),
        _precondition(item),
        "It acts on the most probable culprit." if item.culprit_match else "",
        *(_answer(answer) for answer in item.diagnosis),
        _passages(item),
        _history(item),
        "Its risk is high." if item.candidate.risk == "high" else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _trigger(item: CandidateEvidence) -> str:
    if not item.triggers:
        return f"No trigger of {item.candidate.runbook} matched."
    first = item.triggers[0]
    shown = first if len(first) <= MAX_TRIGGER else first[: MAX_TRIGGER - 1] + "…"
    more = f" (and {len(item.triggers) - 1} more)" if len(item.triggers) > 1 else ""
    return f"Trigger `{shown}` of {item.candidate.runbook} matched{more}."


def _precondition(item: CandidateEvidence) -> str:
    if not item.candidate.preconditions:
        return ""
    asked = "; ".join(f"{check.subject} {check.condition}" for check in item.candidate.preconditions)
    if item.precondition is None:
        return f"Its precondition ({asked}) was not looked at."
    return f"Its precondition ({asked}) {'holds' if item.precondition else 'does not hold'} now."


def _answer(answer: DiagnosisAnswer) -> str:
    check = answer.check
    asked = f"{check.subject} {check.condition}"
    if check.passed is None:
        return f"Check {asked} could not be measured."
    if not check.passed:
        return f"Check {asked} did not pass, so it says nothing."
    return f"Check {asked} passed, which {answer.stance} it."


def _passages(item: CandidateEvidence) -> str:
    if not item.passages:
        return "Retrieval found no passage of its runbook."
    count = len(item.passages)
    best = max(item.passages, key=lambda found: found.score).passage
    place = f"“{best.title}”" + (f", section “{best.headings[-1]}”" if best.headings else "")
    return (
        f"Retrieval found {count} passage{'s' if count > 1 else ''} of {place} "
        f"(BM25 {item.lexical:.1f}, cosine {item.dense:.2f})."
    )


def _history(item: CandidateEvidence) -> str:
    total = item.successes + item.failures
    return f"It helped in {item.successes:g} of {total:g} earlier executions." if total else ""
