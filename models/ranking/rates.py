"""How often what is measured now holds for a right candidate and for a wrong one. Stated, not measured.

They give the weights of the evidence (`evals.ranking_weights`) and the worth of a check before it is asked
(`models.ranking.diagnosis`).
"""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """How often a feature is 1 for a right candidate, and for a wrong one of the same incident."""

    right: float
    wrong: float


RATES: dict[str, Rate] = {
    # Of the preconditions that were looked at: "it is down" holds for the right restart, and often for its neighbours.
    "precondition_holds": Rate(0.90, 0.45),
    "precondition_fails": Rate(0.03, 0.45),
    "culprit": Rate(0.70, 0.45),
    "supported": Rate(0.50, 0.25),
    "refuted": Rate(0.05, 0.25),
}
