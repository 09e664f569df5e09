"""What a language model's order is worth: measured on labelled incidents, turned into its weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evals.calibration import place
from evals.labelled import LabelledIncident
from evals.offers import CANDIDATES, Similarities, incident_of, offered, passage_of, probabilities, rank_row
from models.domain.errors import Unavailable
from models.language.assist import question_of
from models.language.check import check_answer
from models.language.combine import RANK_SPAN, rank_scores
from models.language.parse import Unparsable
from models.language.prompt import build_prompt
from models.language.transport import Transport

WEIGHTS = tuple(step / 20 for step in range(21))

SIGNIFICANCE = 0.05
"""A model whose own choices are this likely by chance has no skill that could be weighed."""


class Judged(NamedTuple):
    """One row: the evidence ranker's log-odds and the model's rank scores, by candidate, and which one is right."""

    log_odds: Mapping[str, float]
    scores: Mapping[str, float]
    gold: str


def measure_skill(rows: Sequence[LabelledIncident], scores: Similarities, model: Transport) -> dict[str, Any]:
    """The model alone, with it stacked on the evidence, and the weight that it has earned.

    Stacking (Wolpert 1992, Stacked generalization) with a weight that cannot be negative (Breiman 1996, Stacked
    regressions): the one of least log loss. The stacked figures are leave-one-out: each row is ranked with the weight
    that the other rows chose. The weight is 0 unless the model alone is better than chance by the exact binomial test
    (one-sided, SIGNIFICANCE) and the stacked log loss of rows that did not choose their weight is below the evidence's.
    """
    judged: list[Judged] = []
    failures = dropped = 0
    for number, row in enumerate(rows):
        try:
            found, bad = _ask(rows, scores, number, model)
        except (Unavailable, Unparsable):
            failures += 1
            found, bad = {}, 0
        dropped += bad
        # Presented in their own order: a model that repeats the order of the prompt must not get the evidence's skill.
        ranked = rank_row(rows, scores, number, offered(number, len(rows)))
        base = {name: math.log(chance) for name, chance in probabilities(ranked).items()}
        judged.append(Judged(base, found or dict.fromkeys(base, 0.0), row.id))
    alone = sum(place(one.scores, one.gold).top1 for one in judged) / len(judged)
    chance = 1 / CANDIDATES
    own = [earned_weight([other for other in judged if other is not one]) for one in judged]
    stacked = [place(_stack(one, weight), one.gold).top1 for one, weight in zip(judged, own, strict=True)]
    gained = sum(_loss(one, 0.0) - _loss(one, weight) for one, weight in zip(judged, own, strict=True))
    by_chance = chance_of(judged)
    skilled = by_chance <= SIGNIFICANCE and gained > 0
    return {
        "name": model.name,
        "top1_alone": alone,
        "chance": chance,
        "top1_stacked": sum(stacked) / len(stacked),
        "p_value": by_chance,
        "log_loss_gained": gained / len(judged),
        "weight": earned_weight(judged) if skilled else 0.0,
        "failures": failures,
        "dropped": dropped,
    }


def earned_weight(judged: Sequence[Judged]) -> float:
    """The weight in [0, 1] of least log loss of the right candidate; the smallest of equals."""
    return min(WEIGHTS, key=lambda weight: (round(sum(_loss(one, weight) for one in judged), 9), weight))


def chance_of(judged: Sequence[Judged]) -> float:
    """How likely a model that knows nothing puts the right one first as often, or more often: the p-value.

    The exact binomial test over the rows that it ordered (Clopper and Pearson 1934 on the same distribution). Rows
    where the first place is shared count as wrong; without any order it is 1.
    """
    from scipy.stats import binomtest

    ordered = [one for one in judged if len(set(one.scores.values())) > 1]
    if not ordered:
        return 1.0
    right = sum(place(one.scores, one.gold).top1 == 1.0 for one in ordered)
    return float(binomtest(right, len(ordered), 1 / CANDIDATES, alternative="greater").pvalue)


def _ask(
    rows: Sequence[LabelledIncident], scores: Similarities, number: int, model: Transport
) -> tuple[dict[str, float], int]:
    """The model's rank scores by runbook, and how many of its statements were dropped."""
    columns = sorted(offered(number, len(rows)), key=lambda column: rows[column].id)
    places = {rows[column].id: place_ for place_, column in enumerate(columns)}
    ranked = sorted(rank_row(rows, scores, number, columns), key=lambda one: places[one.candidate.runbook])
    prompt = build_prompt(incident_of(rows[number]), ranked, [passage_of(rows[column]) for column in columns])
    checked = check_answer(model.ask(question_of(prompt)).text, prompt)
    by_id = rank_scores(checked.order, list(prompt.candidates))
    return {prompt.candidates[name].candidate.runbook: score for name, score in by_id.items()}, checked.dropped


def _stack(one: Judged, weight: float) -> dict[str, float]:
    return {name: base + weight * RANK_SPAN * one.scores[name] for name, base in one.log_odds.items()}


def _loss(one: Judged, weight: float) -> float:
    stacked = _stack(one, weight)
    return math.log(sum(math.exp(value) for value in stacked.values())) - stacked[one.gold]
