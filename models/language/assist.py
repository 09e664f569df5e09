"""A language model's help with one ranking: asked once, checked, and left out where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.domain.errors import Unavailable
from models.domain.incident import Incident
from models.domain.recommendation import Advice, ModelUse, RankedCandidate
from models.domain.runbook import ScoredPassage
from models.language.answer import answer_schema
from models.language.check import check_answer
from models.language.combine import combine
from models.language.parse import Unparsable
from models.language.prompt import MAX_PROMPT, build_prompt, number_candidates
from models.language.transport import Transport


@dataclass(frozen=True)
class Assisted:
    """The ranking after the model was asked, its advice, and what use was made of it."""

    candidates: tuple[RankedCandidate, ...]
    advice: tuple[Advice, ...]
    use: ModelUse


def assist(
    incident: Incident,
    ranked: Sequence[RankedCandidate],
    passages: Sequence[ScoredPassage],
    *,
    model: Transport,
    weight: float,
    max_chars: int = MAX_PROMPT,
) -> Assisted:
    """Ask the model once. Never adds a candidate; a failure leaves `ranked` as it was, with the reason.

    `weight` in [0, 1] is the model's measured skill (`suture eval ranking --model`). `max_chars` bounds the prompt
    for models with a small context window.
    """
    prompt = build_prompt(incident, ranked, passages, max_chars=max_chars)
    if not prompt.candidates and not prompt.passages:
        return _without(ranked, model.name, weight, "nothing to ask about: no candidate and no passage")
    try:
        checked = check_answer(model.complete(prompt.system, prompt.user, answer_schema()), prompt)
    except (Unavailable, Unparsable) as error:
        return _without(ranked, model.name, weight, str(error))
    candidates = combine(
        number_candidates(ranked),
        checked.order,
        checked.justifications,
        weight=weight,
        lower_trust=checked.lower_trust,
        model=model.name,
    )
    return Assisted(candidates, checked.advice, ModelUse(name=model.name, weight=weight, dropped=checked.dropped))


def _without(ranked: Sequence[RankedCandidate], name: str, weight: float, reason: str) -> Assisted:
    return Assisted(tuple(ranked), (), ModelUse(name=name, weight=weight, failure=reason))
