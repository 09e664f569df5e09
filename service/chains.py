"""Suture's recommendation, and the language model's part of it, as LangChain Runnables, for users' own chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from models.domain.incident import Incident
from models.domain.recommendation import RankedCandidate, Recommendation
from models.domain.runbook import ScoredPassage
from models.language.assist import Assisted, assist
from models.language.transport import Transport

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


class Recommender(Protocol):
    """The part of the pipeline that the chain needs."""

    def recommend(self, incident: Incident) -> Recommendation:
        """Localise, retrieve and rank; nothing is executed."""


@dataclass(frozen=True)
class Ranked:
    """What the language model is asked about: candidates as the evidence ranks them, and the passages to quote."""

    incident: Incident
    candidates: tuple[RankedCandidate, ...]
    passages: tuple[ScoredPassage, ...]


def recommendation_chain(pipeline: Recommender) -> Runnable[Incident, Recommendation]:
    """Incident in, recommendation out. Nothing is executed, whatever stands around it in a chain."""
    from langchain_core.runnables import RunnableLambda

    return RunnableLambda(pipeline.recommend, name="recommendation")


def assistance_chain(model: Transport, weight: float = 0.0) -> Runnable[Ranked, Assisted]:
    """Rerank and justify in one call: the same candidates out, with the model's checked statements.

    `weight` in [0, 1] as `suture eval ranking --model` measured it.
    """
    from langchain_core.runnables import RunnableLambda

    def ask(asked: Ranked) -> Assisted:
        return assist(asked.incident, asked.candidates, asked.passages, model=model, weight=weight)

    return RunnableLambda(ask, name="assistance")
