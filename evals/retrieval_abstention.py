"""`python -m evals.retrieval_abstention`: how well each score tells that no runbook fits.

Every labelled alert is asked twice: of the whole corpus, and of the corpus without its runbook. AUROC is the chance
that a query of the first kind scores higher than one of the second (Fawcett 2006, An introduction to ROC analysis).
Hard on purpose: of near twins one remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import typer

from evals.retrieval import Mode, labelled_alerts
from evals.suites import data_folder
from retrieval.embedding import Embedder
from retrieval.index import PassageIndex
from retrieval.scoring import ScoredDocument
from runbooks.loader import load_corpus

_DEPTH = 10


def separation(alerts: Path, runbooks: Path, mode: Mode, embedder: Embedder) -> dict[str, float]:
    """The AUROC of the best lexical score, the best fit and the best cosine. Raises BadInput as `evals.retrieval`."""
    from sklearn.metrics import roc_auc_score

    documents = load_corpus([runbooks]).documents
    ids = {Path(document.path).stem: document.id for document in documents}
    index = PassageIndex(None, embedder)
    index.sync(documents)
    labels: list[int] = []
    scores: list[dict[str, float]] = []
    for alert in labelled_alerts(alerts, frozenset(ids)):
        gold = ids[alert.gold_runbook or ""]
        for fits, exclude in ((1, ()), (0, (gold,))):
            labels.append(fits)
            scores.append(_best(index.documents(alert.query(mode), _DEPTH, exclude=exclude)))
    return {name: float(roc_auc_score(labels, [one[name] for one in scores])) for name in scores[0]}


def _best(found: Sequence[ScoredDocument]) -> dict[str, float]:
    return {
        "lexical": max((one.lexical for one in found), default=0.0),
        "second stage": max((one.fit for one in found if one.fit is not None), default=-1e9),
        "cosine": max((one.dense for one in found), default=-1.0),
    }


def main() -> None:
    """Print the AUROC of each score in the three modes, on the alerts of SUTURE_DATA."""
    from retrieval.minilm import build

    data, embedder = data_folder(), build({})
    for mode in get_args(Mode):
        found = separation(data / "alerts/kube-prometheus.jsonl", data / "runbooks/prometheus-operator", mode, embedder)
        typer.echo(f"{mode:<5} " + "  ".join(f"{name} {value:.3f}" for name, value in found.items()))


if __name__ == "__main__":
    typer.run(main)
