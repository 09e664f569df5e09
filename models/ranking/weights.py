"""The weights of the evidence ranker. The table was printed by `python -m evals.ranking_weights`."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from models.domain.base import Frozen
from models.ranking.features import SIGNS


class Weights(Frozen):
    """Log-odds a feature adds per unit, and the log-odds of a candidate about which nothing is known.

    Raises ValueError where a weight is missing, unknown, or of the wrong sign: the ranker must stay monotone.
    """

    bias: float
    per_feature: dict[str, float]

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        if set(self.per_feature) != set(SIGNS):
            raise ValueError(f"weights are needed for exactly {', '.join(SIGNS)}")
        for name, weight in self.per_feature.items():
            if weight * SIGNS[name] < 0:
                raise ValueError(f"the weight of {name!r} must be {'>=' if SIGNS[name] > 0 else '<='} 0")
        return self


DEFAULT_WEIGHTS = Weights(
    bias=-4.0,
    per_feature={
        "trigger": 2.5,
        "precondition_holds": 0.6,
        "precondition_fails": -2.3,
        "culprit": 0.8,
        "supported": 0.8,
        "refuted": -0.8,
        "lexical": 2.0,
        "lead": 0.8,
        "dense": 0.6,
        "agreement": 0.3,
        "history": 2.5,
        "risk": -0.5,
    },
)
