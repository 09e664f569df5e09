"""Tokens and money: what a question will take at most, what an answer took, and whether the budget allows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.domain.errors import Unavailable
from service.language.loading import load_litellm

if TYPE_CHECKING:
    from models.language.transport import Question
    from service.language_settings import ModelBudget

_LETTERS = 3
"""Characters of a token, at the low end: English has about four, identifiers and other scripts fewer."""
_FRAME_TOKENS = 50
"""Of the roles and marks that a chat template puts around the two messages."""
_MILLION = 1_000_000


@dataclass(frozen=True)
class Spent:
    """Tokens in both directions, and dollars where the price is known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    @property
    def tokens(self) -> int:
        """Both directions together."""
        return self.prompt_tokens + self.completion_tokens


def tokens_of(text: str) -> int:
    """Tokens of a text, rather too many than too few; for what a provider does not count itself."""
    return -(-len(text) // _LETTERS)


def price(model: str, prompt_tokens: int, completion_tokens: int, budget: ModelBudget) -> float | None:
    """US dollars by the settings, else by the list that LiteLLM ships with; None where neither knows the model."""
    if budget.prompt_price is not None and budget.answer_price is not None:
        return (prompt_tokens * budget.prompt_price + completion_tokens * budget.answer_price) / _MILLION
    try:
        parts = load_litellm().cost_per_token(
            model=model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
    except Exception:  # noqa: BLE001  (it raises a bare Exception for a model that it does not know)
        return None
    return float(sum(parts))


def estimate(model: str, question: Question, max_tokens: int, budget: ModelBudget) -> Spent:
    """The most that a question can take: its own tokens, and an answer of full length."""
    prompt = tokens_of(question.system) + tokens_of(question.user) + _FRAME_TOKENS
    return Spent(prompt, max_tokens, price(model, prompt, max_tokens, budget))


def check_budget(model: str, wanted: Spent, incident: Spent, day: Spent, budget: ModelBudget) -> None:
    """Raises Unavailable, with the setting to raise, where `wanted` on top of what was spent exceeds the budget."""
    for span, spent, limit in (
        ("incident", incident, budget.tokens_per_incident),
        ("day", day, budget.tokens_per_day),
    ):
        if spent.tokens + wanted.tokens > limit:
            raise Unavailable(
                f"{model} was not asked: {wanted.tokens} tokens more than the {spent.tokens} used would exceed the "
                f"{limit} of this {span} (SUTURE_MODEL_BUDGET__TOKENS_PER_{span.upper()})"
            )
    for span, spent, dollars in (
        ("incident", incident, budget.cost_per_incident),
        ("day", day, budget.cost_per_day),
    ):
        if dollars is None:
            continue
        if wanted.cost is None:
            raise Unavailable(
                f"{model} was not asked: its cost is limited and its price is not known; set "
                "SUTURE_MODEL_BUDGET__PROMPT_PRICE and SUTURE_MODEL_BUDGET__ANSWER_PRICE"
            )
        if (spent.cost or 0.0) + wanted.cost > dollars:
            raise Unavailable(
                f"{model} was not asked: up to ${wanted.cost:.4f} more than the ${spent.cost or 0:.4f} spent would "
                f"exceed the ${dollars:g} of this {span} (SUTURE_MODEL_BUDGET__COST_PER_{span.upper()})"
            )
