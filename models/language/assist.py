"""A language model's help with one ranking: asked once, checked, and left out where it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.domain.errors import Unavailable
from models.domain.incident import Incident
from models.domain.recommendation import Advice, ModelUse, RankedCandidate
from models.domain.runbook import ScoredPassage
from models.language.answer import answer_schema
from models.language.check import Checked, check_answer
from models.language.combine import combine
from models.language.parse import Unparsable
from models.language.prompt import MAX_PROMPT, Prompt, build_prompt, number_candidates
from models.language.streaming import Listener, Told
from models.language.transport import Question, Reply, Transport


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
    about: str = "",
    tell: Callable[[Told | None], None] | None = None,
) -> Assisted:
    """Ask the model once. Never adds a candidate; a failure leaves `ranked` as it was, with the reason.

    `weight` in [0, 1] is the model's measured skill (`suture eval ranking --model`). `max_chars` bounds the prompt
    for models with a small context window. `about` names whose budget pays. `tell` is called with each statement as
    soon as it is written and checked, and with None while nothing comes; what it raises ends the call.
    """
    prompt = build_prompt(incident, ranked, passages, max_chars=max_chars)
    if not prompt.candidates and not prompt.passages:
        reason = "nothing to ask about: no candidate and no passage"
        return Assisted(tuple(ranked), (), ModelUse(name=model.name, weight=weight, failure=reason))
    reply: Reply | None = None
    try:
        reply = model.ask(question_of(prompt, about), Listener(prompt, tell).hear if tell else None)
        checked = check_answer(reply.text, prompt)
    except (Unavailable, Unparsable) as error:
        return Assisted(tuple(ranked), (), _use(model.name, weight, reply, Checked(), str(error)))
    candidates = combine(
        number_candidates(ranked),
        checked.order,
        checked.justifications,
        weight=weight,
        lower_trust=checked.lower_trust,
        model=model.name,
    )
    advice = tuple(one.model_copy(update={"source": model.name}) for one in checked.advice)
    return Assisted(candidates, advice, _use(model.name, weight, reply, checked))


def question_of(prompt: Prompt, about: str = "") -> Question:
    """The prompt as a question, with the schema that names its ids."""
    return Question(prompt.system, prompt.user, answer_schema(prompt.candidates, prompt.passages), about)


def _use(name: str, weight: float, reply: Reply | None, checked: Checked, failure: str | None = None) -> ModelUse:
    spent = reply or Reply("")
    return ModelUse(
        name=name,
        weight=weight,
        failure=failure,
        dropped=checked.dropped,
        dropped_for=dict(checked.dropped_for),
        sentences=checked.sentences,
        shown=checked.shown,
        prompt_tokens=spent.prompt_tokens,
        completion_tokens=spent.completion_tokens,
        cost=spent.cost,
        cached=spent.cached,
        redacted=spent.redacted,
    )
