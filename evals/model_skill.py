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


class Judged(NamedTuple):
    """One row: the evidence ranker's log-odds and the model's rank scores, by candidate, and which one is right."""

    log_odds: Mapping[str, float]
    scores: Mapping[str, float]
    gold: str


def measure_skill(rows: Sequence[LabelledIncident], scores: Similarities, model: Transport) -> dict[str, Any]:
    """The model alone, with it stacked on the evidence, and the weight that it has earned.

    The weight is the one of least log loss; the stacked figures are leave-one-out: each row is ranked with the
    weight that the other rows chose. A model whose own top-1 is not above chance gets 0.
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
    stacked = [
        place(_stack(one, earned_weight([other for other in judged if other is not one])), one.gold).top1
        for one in judged
    ]
    return {
        "name": model.name,
        "top1_alone": alone,
        "chance": chance,
        "top1_stacked": sum(stacked) / len(stacked),
        "weight": earned_weight(judged) if alone > chance else 0.0,
        "failures": failures,
        "dropped": dropped,
    }


def earned_weight(judged: Sequence[Judged]) -> float:
    """The weight in [0, 1] of least log loss of the right candidate; the smallest of equals."""
    return min(WEIGHTS, key=lambda weight: (round(sum(_loss(one, weight) for one in judged), 9), weight))


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
