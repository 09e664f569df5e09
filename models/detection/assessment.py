"""What one tick says of series, and the anomalies among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.detection.batch import Batch
from models.domain.signal import Anomaly

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Assessment:
    """What one tick says of every series that was scored: arrays of shape [m], `positions` into the batch."""

    positions: NDArray[np.intp]
    p_values: Floats
    scores: Floats
    reported: NDArray[np.bool_]
    observed: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    rising: NDArray[np.bool_]


def anomaly_of(assessment: Assessment, row: int, batch: Batch, at: datetime) -> Anomaly:
    """The anomaly of one row of an assessment of `batch`, of the time `at`."""
    return Anomaly(
        labels=batch.series[assessment.positions[row]],
        at=at,
        score=float(assessment.scores[row]),
        p_value=float(assessment.p_values[row]),
        observed=float(assessment.observed[row]),
        expected=float(assessment.expected[row]),
        lower=float(assessment.lower[row]),
        upper=float(assessment.upper[row]),
        direction="up" if assessment.rising[row] else "down",
    )
