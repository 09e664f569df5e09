"""Competing explanations side by side: what speaks for each candidate, what against it, and what is not known."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain.recommendation import Hypothesis, Measured, RankedCandidate

MOST = 3
"""Hypotheses that a person can weigh against each other at a glance."""
RIVAL = 0.1
"""A candidate competes where its probability is at least this share of the first one's."""
_SAID = 0.2
"""Log-odds below this say little: a probability of one half would move by five percentage points at most."""

_FOR = {
    "trigger": "a trigger of its runbook matches",
    "culprit": "it acts on the most probable culprit",
    "lexical": "its runbook shares words with the incident",
    "lead": "its runbook matches best",
    "agreement": "several passages of its runbook were found",
    "remedy": "its remedy shares words with the incident",
    "bridge": "it mends a cause that the signs fit",
    "history": "it helped before",
}
_AGAINST = {
    "remedy": "other remedies share more words with the incident",
    "bridge": "the signs fit causes that others mend",
    "history": "it did not help before",
    "unmatched": "neither a trigger nor words in common",
}


def competing(ranked: Sequence[RankedCandidate]) -> tuple[Hypothesis, ...]:
    """The candidates that compete with the first, the first included; none where it stands alone."""
    if not ranked:
        return ()
    bar = RIVAL * ranked[0].probability
    rivals = [one for one in ranked[:MOST] if one.probability >= bar or _was_refuted(one)]
    return tuple(_hypothesis(one) for one in rivals) if len(rivals) > 1 else ()


def _hypothesis(one: RankedCandidate) -> Hypothesis:
    named = {part.feature: part.log_odds for part in one.evidence}
    measured = [(answer.says, _words(answer)) for answer in one.measured]
    against = [_AGAINST[name] for name, weight in named.items() if weight <= -_SAID and name in _AGAINST]
    if named.get("trigger") == 0 and "unmatched" not in named:
        against.append("no trigger of its runbook matches")
    asked = {(answer.query, answer.condition) for answer in one.measured}
    return Hypothesis(
        runbook=one.candidate.runbook,
        action=one.candidate.action,
        title=one.candidate.title,
        probability=one.probability,
        speaks_for=(
            *(words for says, words in measured if says == "for"),
            *(_FOR[name] for name, weight in named.items() if weight >= _SAID and name in _FOR),
        ),
        speaks_against=(*(words for says, words in measured if says == "against"), *against),
        unknown=tuple(
            f"{check.subject} {check.condition}"
            for check in one.candidate.preconditions
            if (check.subject, check.condition) not in asked
        ),
    )


def _words(answer: Measured) -> str:
    """`pg_up == 0: it is 0 (12:00:01)`."""
    held = "" if answer.passed else " does not hold"
    return f"{answer.query} {answer.condition}{held}: {answer.detail or 'no data'} ({answer.at:%H:%M:%S} UTC)"


def _was_refuted(one: RankedCandidate) -> bool:
    """Measured evidence against a candidate that a trigger speaks for: a person should see why it is not the first."""
    triggered = any(part.feature == "trigger" and part.value > 0 for part in one.evidence)
    return triggered and any(answer.says == "against" for answer in one.measured)
