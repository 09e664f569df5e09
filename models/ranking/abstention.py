"""Saying "I do not know", and why."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain.recommendation import Abstention, Dropped, RankedCandidate
from models.domain.runbook import ScoredPassage
from models.ranking.features import SUBSTANCE, saturate

DEFAULT_THRESHOLD = 0.25
NEAREST = 3


def abstain(
    ranked: Sequence[RankedCandidate],
    *,
    threshold: float = DEFAULT_THRESHOLD,
    nearest: Sequence[ScoredPassage] = (),
    dropped: Sequence[Dropped] = (),
) -> Abstention | None:
    """The reason why no candidate is recommended; None where one is worth trying.

    `nearest` are the passages that retrieval found, `dropped` the actions that could not become candidates: both
    only shape the words. The decision rests on the calibrated probability, never on a cosine similarity.
    """
    if worth_trying(ranked, threshold):
        return None
    parts = [_below(ranked, threshold) if ranked else "No runbook offers an action for this incident."]
    parts += [_held_back(ranked), _near(nearest)]
    parts += [f"{one.runbook}/{one.action} could not be offered: {one.reason}." for one in dropped[:NEAREST]]
    return Abstention(reason=" ".join(part for part in parts if part))


def worth_trying(ranked: Sequence[RankedCandidate], threshold: float) -> list[int]:
    """Places of the candidates that are probable enough to be tried, in their order.

    What is tried later is tried because what came before did not help: its probability is that among what is then left.
    The other actions of its own runbook are no doubt whether that runbook fits, so they are set aside too.
    """
    found: list[int] = []
    tried = 0.0
    for place, one in enumerate(ranked):
        siblings = sum(
            other.probability
            for at, other in enumerate(ranked)
            if at != place and at not in found and other.candidate.runbook == one.candidate.runbook
        )
        if one.probability >= threshold * max(1.0 - tried - siblings, 0.0):
            found.append(place)
            tried += one.probability
    return found


def _below(ranked: Sequence[RankedCandidate], threshold: float) -> str:
    best = max(ranked, key=lambda one: one.probability)
    name = f"{best.candidate.runbook}/{best.candidate.action}"
    return (
        f"No candidate reaches the probability {threshold:g}. The best, {name}, has {best.probability:.2f}; "
        f"missing: {_missing(best)}."
    )


def _held_back(ranked: Sequence[RankedCandidate]) -> str:
    """The likeliest of those whose trigger matched, where another one is the best: it was made for this incident."""
    matched = [one for one in ranked if _value(one, "trigger") > 0]
    if not matched or max(ranked, key=lambda one: one.probability) in matched:
        return ""
    nearest = max(matched, key=lambda one: one.probability)
    name = f"{nearest.candidate.runbook}/{nearest.candidate.action}"
    return f"A trigger of {name} matched, which has {nearest.probability:.2f}; missing: {_missing(nearest)}."


def _value(one: RankedCandidate, feature: str) -> float:
    return next((part.value for part in one.evidence if part.feature == feature), 0.0)


def _missing(best: RankedCandidate) -> str:
    values = {part.feature: part for part in best.evidence}
    found: list[str] = []
    if "trigger" in values and values["trigger"].value == 0:
        found.append("a matching trigger")
    if "unmatched" in values:
        found.append("words in common with its runbook")
    if "precondition_fails" in values and values["precondition_fails"].value > 0:
        found.append("its precondition, which does not hold now")
    if "refuted" in values and values["refuted"].value > 0:
        found.append("diagnosis checks that agree (some refute it)")
    if "culprit" in values and values["culprit"].value == 0:
        found.append("a culprit that it acts on")
    return ", ".join(found) or "stronger evidence of any kind"


def _near(nearest: Sequence[ScoredPassage]) -> str:
    titles: dict[str, float] = {}
    for found in sorted(nearest, key=lambda item: -item.score):
        titles.setdefault(found.passage.title, found.lexical)
    if not titles:
        return "Retrieval found no document that resembles it."
    shown = ", ".join(f"“{title}”" for title in list(titles)[:NEAREST])
    close = saturate(max(titles.values())) >= SUBSTANCE
    return f"Nearest documents: {shown}." if close else f"No document is close; the nearest are {shown}."
