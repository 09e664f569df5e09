"""The weights of the evidence ranker. The table was printed by `python -m evals.ranking_weights`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from models.domain.base import Frozen
from models.ranking.features import SIGNS, TEXT, TEXT_SHARE


class Weights(Frozen):
    """Log-odds a feature adds per unit, and the log-odds of a candidate about which nothing is known.

    Once a trigger matched, the text features count TEXT_SHARE of their weight. Raises ValueError where a weight is
    missing, unknown, of the wrong sign, or where the trigger's is too small for that: the ranker must stay monotone.
    """

    bias: float
    per_feature: dict[str, float]
    rivalry: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How much of the other candidates' odds speaks against one: 1 where one action is right at most, 0 where the
    candidates do not know of each other."""

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        if set(self.per_feature) != set(SIGNS):
            raise ValueError(f"weights are needed for exactly {', '.join(SIGNS)}")
        for name, weight in self.per_feature.items():
            if weight * SIGNS[name] < 0:
                raise ValueError(f"the weight of {name!r} must be {'>=' if SIGNS[name] > 0 else '<='} 0")
        if self.per_feature["trigger"] < (1 - TEXT_SHARE) * sum(self.per_feature[name] for name in TEXT):
            raise ValueError("the weight of 'trigger' must outweigh what the text features lose to TEXT_SHARE")
        return self


DEFAULT_WEIGHTS = Weights(
    bias=-9.46,
    per_feature={
        "trigger": 8.84,
        "precondition_holds": 0.69,
        "precondition_fails": -2.71,
        "culprit": 0.44,
        "supported": 0.69,
        "refuted": -1.61,
        "lexical": 2.83,
        "lead": 3.14,
        "dense": 1.47,
        "agreement": 2.79,
        "remedy": 0.62,
        "bridge": 0.20,
        "history": 4.00,
        "risk": -0.50,
    },
)
"""Bias and text weights were measured on public alerting rules; the others are stated assumptions, see there."""

REMEDY_WEIGHTS = DEFAULT_WEIGHTS.model_copy(
    update={
        "per_feature": DEFAULT_WEIGHTS.per_feature
        | {"lexical": 0.0, "lead": 0.0, "dense": 0.0, "agreement": 0.0, "remedy": 1.72, "bridge": 2.74},
        "rivalry": 0.0,
    }
)
"""For candidates that are remedies in words, without a runbook that tells of the signs: what is like the incident is
then the remedy alone. Printed by `python -m evals.ranking_remedies`."""
