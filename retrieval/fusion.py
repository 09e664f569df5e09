"""How lexical and dense scores become one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]

DENSE_SHARE = 1.0
"""Weight of all dense arms together beside the lexical one: halves for section and title, as measured in
`docs/retrieval.md`."""


def z_scores(scores: Scores, population: Scores | None = None) -> NDArray[np.float64]:
    """How many standard deviations each score is above the mean of `population` (default: of the scores themselves).

    Zero for all where the population does not vary: then the arm has no opinion.
    """
    population = scores if population is None else population
    spread = float(population.std()) if population.size else 0.0
    if spread < 1e-9:
        return np.zeros(len(scores))
    return (scores.astype(np.float64) - float(population.mean())) / spread


def fuse(lexical: Scores, dense: Sequence[tuple[Scores, Scores]]) -> NDArray[np.float64]:
    """One score a unit: z(lexical) + DENSE_SHARE / m * sum of z(arm) over the m dense arms.

    `dense` holds for each arm its scores and a sample of similarities that stands for the whole corpus. A weighted
    CombSUM (Fox & Shaw 1994) over scores of zero mean and unit variance (Montague & Aslam 2001, Relevance score
    normalization for metasearch). Unlike fusion of ranks it keeps by how much an arm prefers its first.
    """
    fused = z_scores(lexical)
    for scores, population in dense:
        fused += DENSE_SHARE / len(dense) * z_scores(scores, population)
    return fused
