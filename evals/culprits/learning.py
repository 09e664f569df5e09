"""`python -m evals.culprits.learning`: learns the weights of localisation on simulated faults and prints them.

Maximum likelihood of the conditional logit with a small ridge. The graphs are others than those of the evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import typer

from evals.culprits.cases import Case, make_cases
from models.localisation.features import FEATURES, OUTSIDE, features
from models.localisation.harms import harms_of

SEEDS, EACH, RIDGE = range(1000, 1040), 2, 0.003


def learn(cases: Sequence[Case]) -> dict[str, float]:
    """The weight of each feature."""
    from scipy.optimize import minimize  # slow to import

    rows = []
    for case in cases:
        names, known = features(harms_of(case.normal, case.around), case.calls, case.target, case.measure)
        right = case.truths[0] or {OUTSIDE}
        rows.append((known, np.array([name in right for name in names], dtype=float)))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = 0.0, np.zeros(len(weights))
        for known, right in rows:
            odds = known @ weights
            shares = np.exp(odds - odds.max())
            shares /= shares.sum()
            of_right = max(float(shares @ right), 1e-300)
            value -= np.log(of_right)
            slope -= known.T @ (shares * right / of_right - shares)
        return value / len(rows) + RIDGE * weights @ weights / 2, slope / len(rows) + RIDGE * weights

    found = minimize(loss, np.zeros(len(FEATURES)), jac=True, method="L-BFGS-B").x
    return {name: round(float(weight), 2) for name, weight in zip(FEATURES, found, strict=True)}


def main() -> None:
    """Print the weights as they stand in `models/localisation/origins.py`."""
    for name, weight in learn(list(make_cases(SEEDS, EACH))).items():
        typer.echo(f'    "{name}": {weight},')


if __name__ == "__main__":
    typer.run(main)
