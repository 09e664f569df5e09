"""What the lock-step detector knows of a series, in words and in the series' own unit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from models.detection import kernel, rates
from models.detection.feedback import Explanation
from models.detection.state import MARK, Row, Rows
from models.domain.base import Labels


def explain(rows: Rows, labels: Sequence[Labels], terms: kernel.Terms, threshold: float) -> list[Explanation]:
    """One explanation for each of n rows, whose series have those labels; `threshold` is that of p-values."""
    marks = np.zeros(len(rows), dtype=MARK)
    kernel.look(rows, marks, terms)
    band = kernel.CLIP * marks["scale"]
    expected = rates.from_scale(rows, marks["level"])
    lower, upper = rates.from_scale(rows, marks["level"] - band), rates.from_scale(rows, marks["level"] + band)
    return [
        Explanation(
            labels=labels[place],
            last_at=datetime.fromtimestamp(float(row["last_at"]), UTC) if np.isfinite(row["last_at"]) else None,
            observed=float(row["observed"]) if np.isfinite(row["observed"]) else None,
            expected=float(expected[place]),
            lower=float(lower[place]),
            upper=float(upper[place]),
            score=float(marks["score"][place]),
            p_value=float(marks["p"][place]),
            threshold=threshold,
            component=_component(row),
            scored=int(row["seen"]),
            warming_up=bool(row["seen"] < terms.warmup),
            departs_for=int(row["run"]),
            reported=bool(row["reported"]),
            tolerance=float(row["tolerance"]),
        )
        for place, row in enumerate(rows)
    ]


def _component(row: Row) -> str:
    level = "slow" if row["slow_error"] <= row["fast_error"] else "fast"
    rise, fall, run = float(row["rise"]), float(row["fall"]), int(row["run"])
    if rise == fall == 0.0:
        return f"none; {level} level"
    up = run > 0 or (run == 0 and rise >= fall)
    return f"sum of departures {'upwards' if up else 'downwards'} from the {level} level"
