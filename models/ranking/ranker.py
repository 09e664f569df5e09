"""The evidence ranker: a monotone logistic model whose every step can be read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np

from models.domain.execution import CheckResult
from models.domain.incident import Incident
from models.domain.recommendation import Citation, Contribution, Measured, RankedCandidate
from models.domain.runbook import Document
from models.ranking.citations import cite_best, cite_text, incident_text, words_of
from models.ranking.evidence import CandidateEvidence
from models.ranking.features import RISK_COST, SUBSTANCE, TEXT, TEXT_SHARE, features_of, saturate, strongest_match
from models.ranking.justification import justify
from models.ranking.weights import DEFAULT_WEIGHTS, Weights

UNMATCHED_CAP = 0.1
"""The most that a candidate may get with neither a matching trigger nor words in common. Cosine similarity alone
does not tell a fitting runbook from one of the same field, so no sum of weak evidence may stand in for a match."""

_LOG_ODDS_AT_MOST = 50.0
_NO_DOCUMENTS: Mapping[str, Document] = MappingProxyType({})


def rank(
    incident: Incident,
    evidence: Sequence[CandidateEvidence],
    *,
    weights: Weights = DEFAULT_WEIGHTS,
    documents: Mapping[str, Document] = _NO_DOCUMENTS,
) -> tuple[RankedCandidate, ...]:
    """The candidates, most probable first, each with its probability of being the right action.

    The log-odds of each is the sum of its `evidence`: prior, one contribution a feature, the cap where it applies, and
    what its rivals take. `documents` by id lets triggers be cited and quotes be checked once more against their source.
    """
    strongest = strongest_match(evidence)
    wanted = words_of(incident_text(incident))
    alone = [contributions_of(item, strongest, weights) for item in evidence]
    ranked = [
        _ranked(item, contributions, wanted, documents)
        for item, contributions in zip(evidence, _beside_rivals(alone, weights.rivalry), strict=True)
    ]
    # The hash last: equal evidence must not give an order that changes from run to run.
    return tuple(sorted(ranked, key=lambda one: (-one.probability, RISK_COST[one.candidate.risk], one.candidate.hash)))


def logit(probability: float) -> float:
    """Log-odds, with probabilities of 0 and 1 taken as one in a million off."""
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))


def sigmoid(log_odds: float) -> float:
    """The probability of log-odds, without overflow."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1 + odds)


def contributions_of(item: CandidateEvidence, strongest: float, weights: Weights) -> tuple[Contribution, ...]:
    """What each feature adds to the log-odds; their sum is the log-odds of the candidate by itself."""
    found = [Contribution(feature="prior", value=1.0, log_odds=weights.bias, note="before any evidence")]
    for name, value, note in features_of(item, strongest):
        share = TEXT_SHARE if item.triggers and name in TEXT else 1.0
        found.append(
            Contribution(feature=name, value=value, log_odds=weights.per_feature[name] * value * share, note=note)
        )
    total = sum(part.log_odds for part in found)
    if not item.triggers and saturate(item.lexical) < SUBSTANCE:
        note = f"no trigger matched and few words in common: less than {UNMATCHED_CAP:g}"
        found.append(Contribution(feature="unmatched", value=1.0, log_odds=_below_cap(total) - total, note=note))
    return tuple(found)


def _beside_rivals(alone: Sequence[tuple[Contribution, ...]], rivalry: float) -> list[tuple[Contribution, ...]]:
    """The same with what the others take from each: one action is the right one, or none is.

    A conditional logit with the choice of none (McFadden 1974) at a rivalry of 1, independent ones at 0. The order is
    that of the log-odds alone.
    """
    odds = [math.exp(min(sum(part.log_odds for part in parts), _LOG_ODDS_AT_MOST)) for parts in alone]
    found = []
    for parts, own in zip(alone, odds, strict=True):
        # The exact sum: it must not depend on the order of the evidence.
        others = max(math.fsum([*odds, -own]), 0.0)
        note = f"the other candidates' odds add up to {others:.2g}"
        taken = Contribution(feature="rivals", value=others, log_odds=-math.log1p(rivalry * others), note=note)
        found.append((*parts, taken) if rivalry * others > 0 else parts)
    return found


def _below_cap(log_odds: float) -> float:
    """Log-odds under the cap, in the same order: the harmonic sum of the odds and the cap's odds."""
    return -float(np.logaddexp(-log_odds, -logit(UNMATCHED_CAP)))


def _ranked(
    item: CandidateEvidence,
    contributions: tuple[Contribution, ...],
    wanted: frozenset[str],
    documents: Mapping[str, Document],
) -> RankedCandidate:
    return RankedCandidate(
        candidate=item.candidate,
        probability=sigmoid(sum(part.log_odds for part in contributions)),
        justification=justify(item, contributions),
        citations=_citations(item, wanted, documents),
        evidence=contributions,
        measured=_measured(item),
    )


def _measured(item: CandidateEvidence) -> tuple[Measured, ...]:
    """Preconditions, then diagnoses, each once. What could not be measured is a gap and stands elsewhere."""
    found: list[Measured] = []
    for check in item.state:
        found += _cited(check, "precondition", "for" if check.passed else "against")
    said = {(one.query, one.condition) for one in found}
    for answer in item.diagnosis:
        if (answer.check.subject, answer.check.condition) not in said:
            speaks: Literal["for", "against"] = "for" if answer.stance == "supports" else "against"
            found += _cited(answer.check, "diagnosis", speaks if answer.check.passed else "nothing")
    return tuple(found)


def _cited(
    check: CheckResult, role: Literal["precondition", "diagnosis"], says: Literal["for", "against", "nothing"]
) -> list[Measured]:
    if check.passed is None:
        return []
    return [
        Measured(
            query=check.subject,
            condition=check.condition,
            passed=check.passed,
            values=check.values,
            detail=check.detail,
            at=check.at,
            role=role,
            says=says,
        )
    ]


def _citations(
    item: CandidateEvidence, wanted: frozenset[str], documents: Mapping[str, Document]
) -> tuple[Citation, ...]:
    """The best passages, which a person reads with ease, then the first matched trigger as the front matter has it."""
    document = documents.get(item.candidate.runbook)
    trigger = cite_text(document, item.triggers[0]) if document and item.triggers else None
    return (*cite_best(item.passages, wanted, documents), *((trigger,) if trigger else ()))
