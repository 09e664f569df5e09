"""Records of yes and no, and the lower bounds of their rate: what autonomy is earned by."""

from __future__ import annotations

import math
from dataclasses import dataclass

_CONFIDENCE = 0.95
_MOST_WANTED = 1_000_000
"""Successes in a row beyond which nobody would wait."""


@dataclass(frozen=True)
class SuccessRecord:
    """How often something went well, of all the times that were counted."""

    successes: int
    total: int

    @property
    def lower_bound(self) -> float:
        """The one-sided 95 % lower bound of the rate of success; 0 without any.

        It holds for one look at a number of trials that was fixed before. Looked at after every trial, it is passed
        by chance more often than one time in twenty: see `sequential_bound`.

        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
        Biometrika 26 (1934): the alpha quantile of Beta(successes, failures + 1).
        """
        if self.successes == 0:
            return 0.0
        from scipy.special import betaincinv

        return float(betaincinv(self.successes, self.total - self.successes + 1, 1 - _CONFIDENCE))

    @property
    def sequential_bound(self) -> float:
        """The 95 % lower bound that holds over all looks together: the largest rate that `evidence_above` rules out."""
        if self.successes == 0:
            return 0.0
        low, high = 0.0, self.successes / (self.total + 1)
        for _ in range(40):  # halves the gap each time: far below what is shown
            middle = (low + high) / 2
            low, high = (middle, high) if self._ruled_out(middle) else (low, middle)
        return low

    def evidence_above(self, rate: float) -> float:
        """The logarithm of the evidence that the true rate is above `rate`, in (0, 1); it may be looked at at any time.

        The likelihood of the record, averaged over all rates above `rate` alike, over its likelihood at `rate`. Where
        the true rate is `rate` or less this is a supermartingale that begins at 1, so that it ever reaches 1/alpha with
        a probability of at most alpha, however often one looks and whenever one stops. Ville, "Étude critique de la
        notion de collectif" (1939); Robbins, "Statistical methods related to the law of the iterated logarithm", Annals
        of Mathematical Statistics 41 (1970), for the mixture.
        """
        from scipy.special import betaincc, betaln

        failures = self.total - self.successes
        above = float(betaincc(self.successes + 1, failures + 1, rate))
        if above == 0.0:
            return -math.inf
        mixed = float(betaln(self.successes + 1, failures + 1)) + math.log(above) - math.log1p(-rate)
        return mixed - self.successes * math.log(rate) - failures * math.log1p(-rate)

    def reaches(self, bar: float) -> bool:
        """Whether both bounds are at the bar or above it."""
        return self.lower_bound >= bar and self._ruled_out(bar)

    def wanted(self, bar: float) -> int:
        """How many successes in a row would make it reach the bar."""
        if self.reaches(bar):
            return 0
        low, high = 0, 1
        while high < _MOST_WANTED and not self._after(high).reaches(bar):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._after(middle).reaches(bar) else (middle, high)
        return high

    def _after(self, successes: int) -> SuccessRecord:
        return SuccessRecord(self.successes + successes, self.total + successes)

    def _ruled_out(self, rate: float) -> bool:
        return self.evidence_above(rate) >= -math.log1p(-_CONFIDENCE)
