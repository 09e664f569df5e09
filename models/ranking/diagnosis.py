"""Which check to ask next: the one that is expected to tell most of which candidate is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from models.domain.runbook import Check
from models.ranking.evidence import CandidateEvidence
from models.ranking.features import MAX_ANSWERS
from models.ranking.ranker import UNMATCHED_CAP, contributions_of, logit
from models.ranking.rates import RATES, Rate
from models.ranking.weights import Weights

_HOLDS, _FAILS = RATES["precondition_holds"], RATES["precondition_fails"]
REQUIRED = Rate(right=_HOLDS.right / (_HOLDS.right + _FAILS.right), wrong=_HOLDS.wrong / (_HOLDS.wrong + _FAILS.wrong))
"""How often a precondition holds, of those that can be measured."""


class Question(NamedTuple):
    """A check that was not asked yet, and the places of the candidates that its answer speaks of."""

    check: Check
    supports: frozenset[int] = frozenset()
    refutes: frozenset[int] = frozenset()
    required: frozenset[int] = frozenset()
    """Candidates of which it is a precondition."""

    @property
    def concerns(self) -> frozenset[int]:
        """All of them."""
        return self.supports | self.refutes | self.required


class Reach(NamedTuple):
    """The log-odds of a candidate now, and the least and most that all open questions together could make of them."""

    now: float
    low: float
    high: float


def reaches(
    evidence: Sequence[CandidateEvidence], strongest: float, open_: Sequence[Question], weights: Weights
) -> list[Reach]:
    """What the order may still become. `strongest` is the best BM25 score among all candidates of the incident."""
    return [_reach(place, item, strongest, open_, weights) for place, item in enumerate(evidence)]


def worth_asking(open_: Sequence[Question], reach: Sequence[Reach], threshold: float) -> list[Question]:
    """The questions whose answer could still change who comes before whom, or who is recommended, best first.

    Only candidates count that may come to the probability `threshold`. What the first one asks for is always worth a
    look: it is what would be tried. The order is by expected information (`expected_information`), then as given.
    """
    line = logit(threshold)
    leader = max(range(len(reach)), key=lambda place: reach[place].now, default=-1)
    unsettled = {place for place in range(len(reach)) if place == leader or _unsettled(place, reach, line)}
    chances = _chances([one.now for one in reach])
    asked = [question for question in open_ if question.concerns & unsettled and reach[leader].high >= line]
    return sorted(asked, key=lambda question: -expected_information(question, chances))


def expected_information(question: Question, chances: Sequence[float]) -> float:
    """The information, in nats, that the answer is expected to give of which candidate is right: the mutual information
    of both (Lindley 1956, On a measure of the information provided by an experiment).

    `chances` are the probabilities of the candidates in order, and last that none of them is right; together 1.
    """
    rates = [_rate(question, place) for place in range(len(chances) - 1)]
    rates.append(_rate(question, None))
    passing = sum(chance * rate for chance, rate in zip(chances, rates, strict=True))
    known = sum(chance * _entropy(rate) for chance, rate in zip(chances, rates, strict=True))
    return max(_entropy(passing) - known, 0.0)


def _rate(question: Question, right: int | None) -> float:
    """How often the check passes where the candidate at that place is right."""
    if right is not None and right in question.required:
        return REQUIRED.right
    if right is not None and right in question.supports:
        return RATES["supported"].right
    if right is not None and right in question.refutes:
        return RATES["refuted"].right
    return REQUIRED.wrong if question.required else RATES["supported"].wrong


def _chances(log_odds: Sequence[float]) -> list[float]:
    """Probabilities that each is the right one and, last, that none is: the odds, and 1 for none, over their sum."""
    odds = [*(math.exp(min(each, 50.0)) for each in log_odds), 1.0]
    return [each / sum(odds) for each in odds]


def _entropy(probability: float) -> float:
    return -sum(each * math.log(each) for each in (probability, 1 - probability) if each > 0)


def _unsettled(place: int, reach: Sequence[Reach], line: float) -> bool:
    own = reach[place]
    if own.high < line:
        return False
    if own.low < line:
        return True
    return any(own.low <= other.high and other.low <= own.high for number, other in enumerate(reach) if number != place)


def _reach(place: int, item: CandidateEvidence, strongest: float, open_: Sequence[Question], weights: Weights) -> Reach:
    parts = contributions_of(item, strongest, weights)
    now = sum(part.log_odds for part in parts)
    said = [answer.stance for answer in item.diagnosis if answer.check.passed]
    per_feature = weights.per_feature
    low = high = now
    if item.precondition is None and any(place in question.required for question in open_):
        low, high = low + per_feature["precondition_fails"], high + per_feature["precondition_holds"]
    for stance, name in (("supports", "supported"), ("refutes", "refuted")):
        ahead = sum(place in (q.supports if stance == "supports" else q.refutes) for q in open_)
        counted = min(ahead, MAX_ANSWERS - min(said.count(stance), MAX_ANSWERS))  # type: ignore[arg-type]
        low, high = low + min(0.0, per_feature[name] * counted), high + max(0.0, per_feature[name] * counted)
    if any(part.feature == "unmatched" for part in parts):
        high = max(now, min(high, logit(UNMATCHED_CAP)))
    return Reach(now, low, high)
