"""The reasons for a candidate, in plain sentences made from its evidence alone."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain.recommendation import Contribution
from models.ranking.evidence import CandidateEvidence, DiagnosisAnswer

COUNTED = 3
"""Features that are named as having counted most."""

_NAMES = {
    "trigger": "the trigger",
    "precondition_holds": "the precondition",
    "precondition_fails": "the failed precondition",
    "culprit": "the culprit",
    "supported": "a check that supports it",
    "refuted": "a check that refutes it",
    "lexical": "words in common",
    "lead": "its lead over other runbooks",
    "dense": "likeness in meaning",
    "agreement": "several passages found",
    "remedy": "words in common with its remedy",
    "bridge": "the causes that its remedy mends",
    "history": "earlier executions",
    "risk": "its risk",
    "unmatched": "neither trigger nor words in common",
}
_SMALL = 0.05
"""Log-odds below this change a probability by about one percentage point at most."""


def justify(item: CandidateEvidence, contributions: Sequence[Contribution] = ()) -> str:
    """What speaks for the candidate and what against it, strongest kind of evidence first, and what counted most."""
    sentences = [
        _trigger(item),
        _precondition(item),
        "It acts on the most probable culprit." if item.culprit_match else "",
        *(_answer(answer) for answer in _telling(item)),
        _passages(item),
        _history(item),
        "Its risk is high." if item.candidate.risk == "high" else "",
        _counted(contributions),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _trigger(item: CandidateEvidence) -> str:
    count = len(item.triggers)
    if not count:
        return f"No trigger of {item.candidate.runbook} matches a signal."
    matched = "A trigger" if count == 1 else f"{count} triggers"
    return f"{matched} of {item.candidate.runbook} match{'es' if count == 1 else ''} the signals."


def _precondition(item: CandidateEvidence) -> str:
    checks = item.candidate.preconditions
    if not checks:
        return ""
    asked = " and ".join(f"{check.subject} {check.condition}" for check in checks)
    name = "Its precondition" if len(checks) == 1 else "Its preconditions"
    if item.precondition is None:
        return f"{name} {'was' if len(checks) == 1 else 'were'} not measured: {asked}."
    if item.precondition:
        return f"{name} hold{'s' if len(checks) == 1 else ''} now: {asked}."
    return f"{name} do{'es' if len(checks) == 1 else ''} not hold now: {asked}."


def _telling(item: CandidateEvidence) -> list[DiagnosisAnswer]:
    """Answers that say something, and something new: a check that did not pass is silent, by definition."""
    said = {(check.subject, check.condition) for check in item.candidate.preconditions}
    answers = [answer for answer in item.diagnosis if answer.check.passed is not False]
    return [answer for answer in answers if (answer.check.subject, answer.check.condition) not in said]


def _answer(answer: DiagnosisAnswer) -> str:
    asked = f"{answer.check.subject} {answer.check.condition}"
    if answer.check.passed is None:
        return f"Not measured: {asked}."
    return f"Measured, and it {answer.stance} this: {asked}."


def _passages(item: CandidateEvidence) -> str:
    if not item.passages:
        return "No passage of its runbook was found for this incident."
    count = len(item.passages)
    best = max(item.passages, key=lambda found: found.score).passage
    section = f"the section “{best.headings[-1]}”" if best.headings else ""
    if count == 1:
        return f"In its runbook “{best.title}” {section or 'one passage'} resembles the incident."
    most = f", most of all {section}" if section else ""
    return f"{count} passages of its runbook “{best.title}” resemble the incident{most}."


def _history(item: CandidateEvidence) -> str:
    helped, ran = (item.helped, item.ran) if item.ran else (item.successes, item.successes + item.failures)
    if ran == 1:
        return f"It {'helped' if helped else 'did not help'} the one time that it ran before."
    return f"It helped in {helped:g} of {ran:g} earlier executions." if ran else ""


def _counted(contributions: Sequence[Contribution]) -> str:
    """One short sentence on the probability: the features that moved it most, in log-odds."""
    parts = [part for part in contributions if part.feature in _NAMES and abs(part.log_odds) >= _SMALL]
    strongest = sorted(parts, key=lambda part: -abs(part.log_odds))[:COUNTED]
    named = ", ".join(f"{_NAMES[part.feature]} ({part.log_odds:+.1f})" for part in strongest)
    return f"Counted most, in log-odds: {named}." if named else ""
