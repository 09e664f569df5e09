"""From scores to p-values: a tail model on pooled recent scores, bent to each series by its own excursions.

A rank among N reference scores is never below 1/(N+1), which cannot pass false-discovery control over hundreds of
series soon after a start. Above a high quantile the tail is therefore modelled: excesses over a high threshold are
exponential in the limit for light-tailed scores (Pickands 1975; Davison and Smith 1990), and those of a CUSUM are for
any noise with exponential moments (Lundberg's bound). Pooling gives a tail after one minute; each series' own peaks
then pull its tail to its own noise, with the pool as the prior (`kernel.p_value_of`). Dependent excesses are
declustered: one peak an excursion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.detection.kernel import LEAST_P, LEAST_TAIL

Floats = NDArray[np.float64]

POOL = 16_384
"""Scores in the reference: 30 ticks of 500 series."""
PER_TICK = 512
"""At most this many a tick enter, so that one tick never is the whole reference."""
QUANTILE = 0.90
PRIOR_TAIL = 1.0
"""Mean excess before anything was seen: twice that of Gaussian noise, on the careful side."""
PRIOR_WEIGHT = 50.0
TAIL_AT_MOST = 1.5
THRESHOLD_AT_MOST = 4.0
"""Bounds of what is pooled: many wandering series must not deafen the calm ones; each of them learns its own tail."""


class Reference:
    """A ring of recent positive scores of healthy series, with the threshold and mean excess that they give."""

    def __init__(self) -> None:
        self.ring = np.zeros(POOL)
        self.count = 0
        """Scores ever added; the ring holds the last POOL of them."""
        self.threshold = 2.0
        self.tail = PRIOR_TAIL

    def add(self, scores: Floats, turn: int) -> None:
        """Take scores > 0, shape [n]; `turn` (the tick) rotates which are taken when there are more than PER_TICK."""
        step = -(-len(scores) // PER_TICK) or 1
        scores = scores[turn % step :: step]
        if len(scores) == 0:
            return
        self.ring[(self.count + np.arange(len(scores))) % POOL] = scores
        self.count += len(scores)
        self._fit()

    def _fit(self) -> None:
        held = self.ring[: min(self.count, POOL)]
        if len(held) < 100:
            return
        rank = int(QUANTILE * len(held))
        self.threshold = float(np.clip(np.partition(held, rank)[rank], 1.0, THRESHOLD_AT_MOST))
        excess = held[held > self.threshold] - self.threshold
        tail = (PRIOR_TAIL * PRIOR_WEIGHT + excess.sum()) / (PRIOR_WEIGHT + len(excess))
        self.tail = float(np.clip(tail, LEAST_TAIL, TAIL_AT_MOST))


def score_of(p: Floats) -> Floats:
    """Anomaly scores in [0, 1], rising as p falls: 0 at 1, 0.63 at 1e-6, 0.86 at 1e-12."""
    return 1.0 - np.exp(np.log10(np.maximum(p, LEAST_P)) / 6.0)
