"""Evidence as numbers. Every feature is monotone: more of it never speaks the other way.

All but two are 0 where nothing is known and grow from there; `remedy` and `bridge` compare a candidate with the others,
and are below 0 where it comes off worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models.domain.runbook import Risk
from models.ranking.evidence import CandidateEvidence

LEXICAL_HALF = 12.0
"""The BM25 score that maps to one half. BM25 has no upper end: over the 112 kube-prometheus alerts with a known runbook
the right one has 22 at the median, a wrong one among the found 2.6."""

SUBSTANCE = 1 / 3
"""Below this lexical value (a BM25 score of 6) the words in common say nothing: of the same alerts, 95 % of the right
runbooks are above, 85 % of the wrong ones below."""

TEXT = ("lexical", "lead", "dense", "agreement", "remedy", "bridge")
"""The features that come from texts: from retrieval, and from how the remedy's own words compare."""

TEXT_SHARE = 0.2
"""How much of its weight a text feature keeps once a trigger matched: the trigger was written for what the text says,
so most of it is counted already, and a terse signal must not sink the runbook that was made for it."""

MAX_ANSWERS = 2
"""More than two diagnosis answers in one direction add nothing: checks of one runbook are rarely independent."""

RISK_COST: dict[Risk, float] = {"low": 0.0, "medium": 0.5, "high": 1.0}


class Feature(NamedTuple):
    """One number of the evidence, with what it was made of in words."""

    name: str
    value: float
    note: str


SIGNS: dict[str, int] = {
    "trigger": 1,
    "precondition_holds": 1,
    "precondition_fails": -1,
    "culprit": 1,
    "supported": 1,
    "refuted": -1,
    "lexical": 1,
    "lead": 1,
    "dense": 1,
    "agreement": 1,
    "remedy": 1,
    "bridge": 1,
    "history": 1,
    "risk": -1,
}
"""Every feature, and the direction in which it moves the probability. Weights of the other sign are refused."""


def saturate(bm25: float) -> float:
    """A BM25 score in [0, inf) as a value in [0, 1)."""
    return bm25 / (bm25 + LEXICAL_HALF) if bm25 > 0 else 0.0


def features_of(item: CandidateEvidence, strongest: float) -> tuple[Feature, ...]:
    """The features in the order of SIGNS. `strongest` is the best BM25 score among all candidates of the incident."""
    said = [answer.stance for answer in item.diagnosis if answer.check.passed]
    looked = "" if item.precondition is not None else "not looked at" if item.candidate.preconditions else "it has none"
    return (
        Feature("trigger", float(bool(item.triggers)), f"{len(item.triggers)} of its triggers matched"),
        Feature("precondition_holds", float(item.precondition is True), looked),
        Feature("precondition_fails", float(item.precondition is False), looked),
        Feature("culprit", float(item.culprit_match), "whether it acts on the most probable culprit"),
        Feature("supported", min(said.count("supports"), MAX_ANSWERS), "diagnosis checks for it"),
        Feature("refuted", min(said.count("refutes"), MAX_ANSWERS), "diagnosis checks against it"),
        Feature("lexical", saturate(item.lexical), f"best BM25 score {item.lexical:.1f}"),
        Feature("lead", min(item.lexical / strongest, 1.0) if strongest > 0 else 0.0, "share of the strongest match"),
        Feature("dense", min(max(item.dense, 0.0), 1.0), f"best cosine similarity {item.dense:.2f}"),
        Feature("agreement", agreement(len(item.passages)), f"{len(item.passages)} passages found"),
        Feature("remedy", item.remedy.words if item.remedy else 0.0, "its remedy's words, beside the others'"),
        _bridge(item),
        _history(item),
        Feature("risk", RISK_COST[item.candidate.risk], f"{item.candidate.risk} risk"),
    )


def strongest_match(evidence: Sequence[CandidateEvidence]) -> float:
    """The best BM25 score among all candidates, 0 where there is none."""
    return max((item.lexical for item in evidence), default=0.0)


def agreement(passages: int) -> float:
    """Passages found, as a value in [0, 1): 0 for one, and each further one halves what is left to gain."""
    return float(1.0 - 0.5 ** (passages - 1)) if passages else 0.0


def _ran(item: CandidateEvidence) -> str:
    total = item.successes + item.failures
    if not item.ran:
        return f"helped in {item.successes:g} of {total:g} executions" if total else ""
    return f"helped in {item.helped} of {item.ran} executions, {item.successes:.2g} of {total:.2g} by age and place"


def _bridge(item: CandidateEvidence) -> Feature:
    """The candidate's share of the causes that the signs speak of, beside the others': see `models.ranking.bridge`."""
    if item.remedy is None:
        return Feature("bridge", 0.0, "")
    return Feature("bridge", item.remedy.bridge, f"what mends “{item.remedy.cause}”, beside the other remedies")


def _history(item: CandidateEvidence) -> Feature:
    """The mean of the Beta(1 + successes, 1 + failures) posterior (Laplace's rule of succession), less its prior."""
    total = item.successes + item.failures
    mean = (item.successes + 1.0) / (total + 2.0)
    return Feature("history", mean - 0.5, _ran(item))
