"""The schema that a language model is asked to answer in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    # A model that adds fields of its own is not wrong in the ones that were asked for.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Sentence(_Part):
    """One statement with the words that it rests on."""

    text: str = Field(min_length=1, max_length=400)
    quote: str = Field(min_length=1, max_length=600)
    """Copied from the passage, character by character."""
    passage: str
    """The passage's id in the prompt, for example `p2`."""


class CandidateAnswer(_Part):
    """What the model says for one candidate."""

    id: str
    """The candidate's id in the prompt, for example `c1`."""
    justification: tuple[Sentence, ...] = Field(default=(), max_length=5)


class Answer(_Part):
    """The whole answer."""

    order: tuple[str, ...] = Field(default=(), max_length=50)
    """Ids of candidates, best first."""
    candidates: tuple[CandidateAnswer, ...] = Field(default=(), max_length=50)
    advice: tuple[Sentence, ...] = Field(default=(), max_length=10)
    """Steps for a person, where no candidate fits."""
    lower_trust: bool = False
    """True where the evidence contradicts the candidates, so that a person should look first."""


def answer_schema(candidates: Iterable[str] | None = None, passages: Iterable[str] | None = None) -> dict[str, Any]:
    """The JSON Schema of `Answer`, for providers that hold a model to it.

    With ids, only those may be named: a model that writes under the schema then cannot invent one.
    """
    schema = Answer.model_json_schema()
    if candidates is not None:
        ids = {"type": "string", "enum": list(candidates)} if candidates else {"type": "string"}
        schema["properties"]["order"]["items"] = ids
        schema["$defs"]["CandidateAnswer"]["properties"]["id"] = ids
    if passages is not None:
        known = list(passages)
        schema["$defs"]["Sentence"]["properties"]["passage"] = (
            {"type": "string", "enum": known} if known else {"type": "string"}
        )
    # Statements first and in this order: what a person waits for is written, and streamed, first.
    return schema | {"required": ["order", "candidates", "advice"]}
