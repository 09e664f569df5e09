"""The final order: the evidence ranker's log-odds plus the model's rank, as far as its measured skill allows.

The order alone: a model lowers a candidate's probability and never raises it, since policies and thresholds read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.domain.recommendation import Advice, Citation, Contribution, RankedCandidate
from models.ranking.ranker import logit, sigmoid

RANK_SPAN = 2.0
"""Log-odds that the first place is worth in the order at weight 1; the last place costs as much. A model can turn a
close order around, by odds of e² (about 7) at most, never put an unlikely action before a likely one."""

TRUST_CUT = 0.5
"""A model of weight 1 that lowers trust halves the probabilities."""


def rank_scores(order: Sequence[str], ids: Sequence[str]) -> dict[str, float]:
    """A score in [-1, 1] for each id by its place in `order`, 1 for the first of all.

    Ids that the order leaves out share the mean of the places that are left. Without an order, or with one
    candidate alone, all scores are 0: nothing was compared.
    """
    if not order or len(ids) < 2:
        return dict.fromkeys(ids, 0.0)
    last = len(ids) - 1
    shared = (len(order) + last) / 2
    places = {name: float(place) for place, name in enumerate(order)}
    return {name: 1.0 - 2.0 * places.get(name, shared) / last for name in ids}


def combine(
    candidates: Mapping[str, RankedCandidate],
    order: Sequence[str],
    justifications: Mapping[str, Sequence[Advice]],
    *,
    weight: float,
    lower_trust: bool,
    model: str,
) -> tuple[RankedCandidate, ...]:
    """The same candidates, reordered and with the model's checked statements added, marked as the model's.

    At weight 0, order, probabilities and evidence are those that came in.
    """
    scores = rank_scores(order, list(candidates))

    def place(name: str) -> float:
        return -logit(candidates[name].probability) - weight * RANK_SPAN * scores[name]

    # Sorting is stable: candidates that end equal keep the evidence ranker's order.
    return tuple(
        _explained(_weighed(candidates[name], scores[name], weight, lower_trust), justifications.get(name, ()), model)
        for name in (sorted(candidates, key=place) if weight > 0 else candidates)
    )


def _weighed(one: RankedCandidate, score: float, weight: float, lower_trust: bool) -> RankedCandidate:
    if weight <= 0:
        return one
    start = logit(one.probability)
    moved = min(0.0, weight * RANK_SPAN * score)
    note = f"weight {weight:g}; it counts in the order, and raises no probability"
    parts = [Contribution(feature="model rank", value=score, log_odds=moved, note=note)]
    probability = sigmoid(start + moved)
    if lower_trust:
        cut = 1.0 - weight * TRUST_CUT
        lowered = probability * cut
        note = "the model asks that a person looks first"
        parts.append(
            Contribution(feature="model trust", value=cut, log_odds=logit(lowered) - logit(probability), note=note)
        )
        probability = lowered
    return one.model_copy(update={"probability": probability, "evidence": (*one.evidence, *parts)})


def _explained(one: RankedCandidate, statements: Sequence[Advice], model: str) -> RankedCandidate:
    if not statements:
        return one
    text = " ".join(statement.text for statement in statements)
    quoted: list[Citation] = [citation for statement in statements for citation in statement.citations]
    citations = tuple(dict.fromkeys((*one.citations, *quoted)))
    return one.model_copy(
        update={
            "justification": f"{one.justification} The language model {model} adds: “{text}”",
            "citations": citations,
        }
    )
