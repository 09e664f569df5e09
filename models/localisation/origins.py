"""Probabilities of where the harm of a call graph began, with “outside the graph” as one of the hypotheses.

Each node, and outside, is a hypothesis; its log-odds are a weighted sum of its features, and a softmax makes
probabilities of them: a conditional logit (McFadden, "Conditional logit analysis of qualitative choice
behavior", 1974).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.localisation.features import FEATURES, features
from models.localisation.harms import harms_of
from models.localisation.measures import DEFAULT, Bounds, Measure, NodeSeries

WEIGHTS = {
    "score": 0.06,
    "first": 1.42,
    "anomalous": 0.1,
    "share": 0.45,
    "unexplained": 1.52,
    "unexplained by all": 1.06,
    "surprise": 0.27,
    "other anomalous": -1.53,
    "other unexplained": 2.15,
    "other surprise": 0.35,
    "both unexplained": -1.5,
    "reached": 0.87,
    "explained across": -0.21,
    "flooded": 0.01,
    "starved": -0.28,
    "calls more": 3.97,
    "calls less": 0.65,
    "new": -0.84,
    "not measured": 3.19,
    "callee not measured": -0.81,
    "outside": 2.11,
    "outside: more users": 4.51,
    "outside: spread": 1.87,
    "outside: more users, spread": 1.81,
}
"""Learned on simulated faults over random graphs, never on recorded ones: `python -m evals.culprits.learning`."""


@dataclass(frozen=True)
class Origin:
    """One hypothesis: a node, or `features.OUTSIDE`."""

    node: str
    probability: float


def origins(
    normal: Mapping[str, NodeSeries],
    around: Mapping[str, NodeSeries],
    calls: Mapping[str, Sequence[str]],
    target: str,
    measure: Measure,
    bounds: Bounds = DEFAULT,
) -> list[Origin]:
    """Where the harm began that was seen at `target` in `measure`, most probable first; probabilities sum to 1.

    `normal` and `around` hold what was measured of each node in windows of normal times and of the incident; `calls`
    names the callees of each. Nodes without measurements are hypotheses too. Equal probabilities are ties.
    """
    names, known = features(harms_of(normal, around, bounds), calls, target, measure)
    odds = known @ np.array([WEIGHTS[name] for name in FEATURES])
    shares = np.exp(odds - odds.max())
    shares /= shares.sum()
    found = [Origin(name, float(share)) for name, share in zip(names, shares, strict=True)]
    return sorted(found, key=lambda one: (-one.probability, one.node))
