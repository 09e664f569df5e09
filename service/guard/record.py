"""The record of an action in an environment: what autonomy is earned by."""

from __future__ import annotations

from dataclasses import dataclass

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class SuccessRecord:
    """How often an action was verified to have helped."""

    successes: int
    total: int

    @property
    def lower_bound(self) -> float:
        """The one-sided 95 % lower bound of the rate of verified success; 0 without any.

        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
        Biometrika 26 (1934): the alpha quantile of Beta(successes, failures + 1).
        """
        if self.successes == 0:
            return 0.0
        from scipy.special import betaincinv

        return float(betaincinv(self.successes, self.total - self.successes + 1, 1 - _CONFIDENCE))
