"""Every evaluation suite on the labelled data of one folder: what `suture eval all` runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA_VARIABLE = "SUTURE_DATA"
_DEFAULT_DATA = Path(__file__).resolve().parent.parent / ".." / "shared" / "data"


@dataclass(frozen=True)
class Suite:
    """One suite. `needs` are paths below the data folder; `run` takes the data folder and the output folder."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[Path, Path], dict[str, Any]]

    def missing(self, data: Path) -> list[str]:
        """What the data folder does not have."""
        return [each for each in self.needs if not (data / each).exists()]


def data_folder() -> Path:
    """Where the labelled data is: `SUTURE_DATA`, else `../shared/data` beside the repository."""
    return Path(os.environ.get(DATA_VARIABLE) or _DEFAULT_DATA).resolve()


def _detection(data: Path, out: Path) -> dict[str, Any]:
    from evals.detection import run_detection

    return run_detection(data / "nab", out / "detection")


def _retrieval(mode: str) -> Callable[[Path, Path], dict[str, Any]]:
    def run(data: Path, out: Path) -> dict[str, Any]:  # noqa: ARG001  (writes nothing)
        from evals.retrieval import run_retrieval

        alerts = data / "alerts" / "kube-prometheus.jsonl"
        return run_retrieval(alerts, data / "runbooks" / "prometheus-operator", mode)  # type: ignore[arg-type]

    return run


def _ranking(data: Path, out: Path) -> dict[str, Any]:  # noqa: ARG001  (writes nothing)
    from evals.ranking import run_ranking

    return run_ranking(data / "itbench" / "faults.jsonl")


def _culprit(data: Path, out: Path) -> dict[str, Any]:  # noqa: ARG001  (writes nothing)
    from evals.culprit import run_culprit

    return run_culprit(data / "petshop")


_RUNBOOKS = ("alerts/kube-prometheus.jsonl", "runbooks/prometheus-operator")

SUITES = (
    Suite("retrieval (name)", _RUNBOOKS, _retrieval("name")),
    Suite("retrieval (desc)", _RUNBOOKS, _retrieval("desc")),
    Suite("retrieval (expr)", _RUNBOOKS, _retrieval("expr")),
    Suite("ranking", ("itbench/faults.jsonl",), _ranking),
    Suite("culprit", ("petshop",), _culprit),
    Suite("detection", ("nab/data",), _detection),
)
