"""How the deep tier scores files that its settings were not chosen on.

    python -m evals.detection_crossvalidation --nab DIR

For each category of the benchmark the settings are those that are best on all other categories; the files of all
categories, each scored with the settings chosen without it, are then judged together: at the one threshold that is best
for all, and at thresholds carried over from the other categories. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from evals import nab as benchmark
from evals.detection import DEPLOYED, figures, judged_streams, named, read_streams, score_streams
from models.detection.deep.kernel import Tuning

QUANTILES = (0.9, 0.95, 0.98)
BURDENS = (0.05, 0.1, 0.2)
MEMORIES = (60, 100)
ASPECTS = (0b0011, 0b0111, 0b1011, 0b1111)
"""The value and its mean of 3, without and with the mean of 18 and the change."""


def candidates() -> Iterator[Tuning]:
    """The settings that are chosen among."""
    for quantile, burden, memory, aspects in product(QUANTILES, BURDENS, MEMORIES, ASPECTS):
        yield Tuning(quantile, burden, memory, aspects)


def cross_validate(nab: Path) -> dict[str, Any]:
    """The figures of the deployed settings and of those chosen without each category. Raises BadInput."""
    streams = read_streams(nab)
    files = judged_streams(nab, streams)
    scored = {tuning: named(streams, score_streams(streams, tuning)) for tuning in candidates()}
    chosen: dict[str, Tuning] = {}
    left_out: dict[str, NDArray[np.float64]] = {}
    for category, own in benchmark.by_category(files).items():
        others = [file for file in files if file not in own]
        chosen[category] = max(scored, key=lambda tuning: _best(others, scored[tuning]))
        left_out |= {file.name: scored[chosen[category]][file.name] for file in own}
    everywhere = sorted(_best(files, scores) for scores in scored.values())
    return {
        "deployed": figures(files, scored[DEPLOYED]),
        "left_out": figures(files, left_out),
        "chosen": {category: tuning._asdict() for category, tuning in chosen.items()},
        "settings": len(scored),
        "median_of_settings": round(everywhere[len(everywhere) // 2], 2),
        "best_of_settings": round(everywhere[-1], 2),
    }


def _best(files: list[benchmark.Judged], scores: dict[str, Any]) -> float:
    return benchmark.score_at(files, scores, benchmark.best_threshold(files, scores)).scaled


def main(nab: Annotated[Path, typer.Option(metavar="DIR", help="With data/ and windows.json.")]) -> None:
    """Print the cross-validated figures of the deep tier."""
    sys.stdout.write(json.dumps(cross_validate(nab), indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
