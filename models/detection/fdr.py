"""False-discovery control over all series of a tick, and from tick to tick.

Benjamini and Hochberg (1995) inside a tick; from tick to tick BatchBH of Zrnic, Jiang, Ramdas and Jordan, "The Power of
Batching in Multiple Hypothesis Testing" (AISTATS 2020, algorithm 1): the level of a tick is what is left of the budget,
and discoveries earn budget back. Here the budget is spread evenly over a window of ticks and what leaves the window is
forgotten, so that a stream without discoveries does not end in a level of 0 (the "alpha-death" that Ramdas et al.,
NeurIPS 2017, meet with a decaying memory in the same way).

What is guaranteed, and what not: inside a tick, control holds for independent or positively dependent series. Scores of
one series at neighbouring ticks are dependent, which the paper excludes; tests measure the false anomalies instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EARNED_AT_MOST = 10.0
"""A tick's level is at most this many times its even share: after a true storm, false followers stay rare."""


def benjamini_hochberg(p: NDArray[np.float64], level: float, n: int) -> tuple[NDArray[np.bool_], int]:
    """Which p-values of n, shape [at most n], are discoveries at `level`, and how many were one p-value 0.

    Those that are left out count as 1.
    """
    if n == 0:
        return np.zeros(0, dtype=bool), 0
    # Sorting only what can pass at all: a rejected p-value is at most `level`.
    ordered = np.sort(p[p <= level])
    ranks = np.arange(1, len(ordered) + 1)
    passing = np.flatnonzero(ordered <= level * ranks / n)
    found = p <= (ordered[passing[-1]] if len(passing) else -1.0)
    helped = np.flatnonzero(ordered <= level * (ranks + 1) / n)
    return found, max(int(helped[-1]) + 2 if len(helped) else 1, int(found.sum()))


class BatchControl:
    """Gives each tick its level. State: for the last `horizon` ticks, the level, discoveries and helped discoveries."""

    def __init__(self, alpha: float, horizon: int) -> None:
        """`alpha` is the budget of `horizon` ticks."""
        self.alpha = alpha
        self.ticks = np.zeros((horizon, 3))
        """Columns: level, discoveries, discoveries were one p-value 0. Row = tick modulo horizon."""
        self.tick = 0

    def decide(self, p: NDArray[np.float64], n: int | None = None) -> NDArray[np.bool_]:
        """Which of the tick's p-values are discoveries; spends and earns budget.

        `p` has the shape [n], or less: those of the `n` that are left out count as 1.
        """
        n = len(p) if n is None else n
        horizon = len(self.ticks)
        row = self.tick % horizon
        self.ticks[row] = 0.0
        level = self._level(n, min(self.tick + 1, horizon) / horizon)
        found, helped = benjamini_hochberg(p, level, n)
        self.ticks[row] = (level, int(found.sum()), max(helped, 1))
        self.tick += 1
        return found

    def threshold(self, n: int) -> float:
        """The p-value at which a single one of n would be a discovery in the next tick."""
        return self._level(n, min(self.tick + 1, len(self.ticks)) / len(self.ticks)) / max(n, 1)

    def _level(self, n: int, elapsed: float) -> float:
        if n == 0:
            return 0.0
        levels, found, helped = self.ticks.T
        total = found.sum()
        # Rows that were never used have level 0 and helped 0: they spend nothing.
        spent = (levels * helped / np.maximum(helped + total - found, 1.0)).sum()
        share = self.alpha / len(self.ticks)
        level = (self.alpha * elapsed - spent) * (n + total) / n
        # Never below the even share: what a storm earned and spent must not deafen whom it leaves, hours later, when
        # its discoveries have left the window and its levels have not.
        return float(np.clip(level, share, EARNED_AT_MOST * share))
