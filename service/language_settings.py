"""The settings of the language model: what it may cost, how long answers are kept, and how it is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.domain.base import Frozen
from service.guard_settings import Span

AnswerFormat = Literal["auto", "schema", "json", "text"]
"""How the form of an answer is asked for: `schema` (the server holds the model to it), `json`, or in words alone."""

Dollars = Annotated[float, Field(gt=0)]


class ModelBudget(Frozen):
    """What a language model may use. Beyond it the evidence ranker answers alone, and says so."""

    tokens_per_incident: Annotated[int, Field(ge=1)] = 50_000
    """Prompt and answer together. One question of full length takes about 6,000."""
    tokens_per_day: Annotated[int, Field(ge=1)] = 2_000_000
    """Of a UTC day, over all replicas."""
    cost_per_incident: Dollars | None = None
    """US dollars."""
    cost_per_day: Dollars | None = None
    """US dollars of a UTC day, over all replicas."""
    prompt_price: Annotated[float, Field(ge=0)] | None = None
    """US dollars for a million tokens of prompts, where LiteLLM does not know the model's price or yours is another."""
    answer_price: Annotated[float, Field(ge=0)] | None = None
    """The same for answers."""

    @model_validator(mode="after")
    def _prices(self) -> Self:
        if (self.prompt_price is None) != (self.answer_price is None):
            raise ValueError("prompt_price and answer_price are set together")
        return self


class ModelCache(Frozen):
    """Answers that are kept, so that the same question is not paid for twice."""

    entries: Annotated[int, Field(ge=0)] = 1_000
    """0 keeps none. Beyond it the oldest go."""
    expires: Span = timedelta(days=1)
