"""Suture's recommendation as a LangChain Runnable, for users' own chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from models.domain.incident import Incident
from models.domain.recommendation import Recommendation

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


class Recommender(Protocol):
    """The part of the pipeline that the chain needs."""

    def recommend(self, incident: Incident) -> Recommendation:
        """Localise, retrieve and rank; nothing is executed."""


def recommendation_chain(pipeline: Recommender) -> Runnable[Incident, Recommendation]:
    """Incident in, recommendation out. Nothing is executed, whatever stands around it in a chain."""
    from langchain_core.runnables import RunnableLambda

    return RunnableLambda(pipeline.recommend, name="recommendation")
