"""`python -m evals.retrieval_reranker`: learns the second stage's weights, and measures it where it did not.

Of every split all queries of a runbook are on one side. Only the weights are learned: the list of features, the pool
and the penalty are the same in all splits, and were chosen by these figures of groups left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import minimize

from evals.retrieval import Mode
from evals.retrieval_variants import ALERT_VARIANTS, CORPUS_VARIANTS, Asked, corpus, queries
from evals.suites import data_folder
from models.domain.runbook import Document
from retrieval.embedding import Embedder
from retrieval.index import PassageIndex
from retrieval.rerank import FEATURES, POOL

PENALTY = 0.2
"""Of the squared weights. Between 0.1 and 1 the figures of left-out groups hardly differ."""
FOLDS = 5


@dataclass(frozen=True)
class Listed:
    """A query with the features of the documents that were found for it, in the first stage's order."""

    asked: Asked
    corpus: str
    features: NDArray[np.float64]
    gold: int | None
    """The row of the right document; None where the first stage lost it."""

    def place(self, weights: NDArray[np.float64]) -> int:
        """The right document's place, from 0; ties count against it, and one that was lost comes last."""
        if self.gold is None:
            return POOL
        value = self.features @ weights
        return int(np.sum(value >= value[self.gold] - 1e-12)) - 1


class _Remembering:
    """An embedder that embeds all queries at once."""

    def __init__(self, embedder: Embedder, texts: Iterable[str]) -> None:
        self.identity, self.dimension, self._embedder = embedder.identity, embedder.dimension, embedder
        distinct = list(dict.fromkeys(texts))
        self._known = dict(zip(distinct, embedder.embed(distinct), strict=True))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if all(text in self._known for text in texts):
            return np.array([self._known[text] for text in texts])
        return self._embedder.embed(texts)


def gather(alerts: Path, runbooks: Path, embedder: Embedder) -> list[Listed]:
    """Every query of every variant with what the first stage found. Raises BadInput as `evals.retrieval` does."""
    corpora = {variant: corpus(runbooks, variant) for variant in CORPUS_VARIANTS}
    stems = {document.id: Path(document.path).stem for document in corpora["whole"]}
    asked = queries(alerts, frozenset(stems.values()))
    remembering = _Remembering(embedder, [one.query for one in asked])
    return [
        listed for name, documents in corpora.items() for listed in _listed(name, documents, stems, asked, remembering)
    ]


def _listed(
    name: str, documents: Sequence[Document], stems: Mapping[str, str], asked: Sequence[Asked], embedder: Embedder
) -> Iterable[Listed]:
    index = PassageIndex(None, embedder)
    index.sync(documents)
    for one in asked:
        found = sorted(index.documents(one.query, POOL), key=lambda document: -document.score)
        names = [stems[document.document] for document in found]
        gold = names.index(one.gold) if one.gold in names else None
        yield Listed(one, name, np.array([document.features for document in found]), gold)


def fit(rows: Sequence[Listed], penalty: float = PENALTY) -> NDArray[np.float64]:
    """The weights, none below 0, that make the right documents likeliest (softmax over each query's documents)."""
    found = [(row, row.gold) for row in rows if row.gold is not None]
    rows = [row for row, _ in found]
    values = np.zeros((len(rows), POOL, len(FEATURES)))
    there = np.zeros((len(rows), POOL), bool)
    for place, row in enumerate(rows):
        values[place, : len(row.features)] = row.features - row.features.mean(axis=0)
        there[place, : len(row.features)] = True
    spread = values[there].std(axis=0)
    spread[spread < 1e-9] = 1.0
    values /= spread
    right = values[np.arange(len(rows)), np.array([gold for _, gold in found])]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = np.where(there, values @ weights, -np.inf)
        best = score.max(axis=1)
        chance = np.exp(score - best[:, None])
        total = chance.sum(axis=1)
        likelihood = right @ weights - best - np.log(total)
        gradient = right - np.einsum("qd,qdf->qf", chance / total[:, None], values)
        return penalty * weights @ weights - likelihood.mean(), 2 * penalty * weights - gradient.mean(axis=0)

    least = minimize(loss, np.full(len(FEATURES), 0.1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(FEATURES))
    return np.asarray(least.x / spread, np.float64)


def held_out(rows: Sequence[Listed], part: Callable[[Listed], object]) -> list[int]:
    """The place of each row's right document by weights that were learned without the row's part."""
    places = [POOL] * len(rows)
    for left in sorted({part(row) for row in rows}, key=str):
        weights = fit([row for row in rows if part(row) != left])
        for number, row in enumerate(rows):
            if part(row) == left:
                places[number] = row.place(weights)
    return places


def evaluate(rows: Sequence[Listed]) -> dict[str, Any]:
    """Recall by the first stage, by folds over runbooks, and with each group of alerts left out; and the weights."""
    order = np.random.default_rng(0).permutation(sorted({row.asked.gold for row in rows}))
    folds = {gold: number % FOLDS for number, gold in enumerate(order)}
    first = np.eye(len(FEATURES))[FEATURES.index("fused")]
    places = {
        "first stage": [row.place(first) for row in rows],
        "folds": held_out(rows, lambda row: folds[row.asked.gold]),
        "group left out": held_out(rows, lambda row: row.asked.group),
    }
    tables = [
        {"how": how, "corpus": name, "variant": variant, "mode": mode, **_recall(rows, own, name, variant, mode)}
        for name in CORPUS_VARIANTS
        for variant in ALERT_VARIANTS
        for mode in get_args(Mode)
        for how, own in places.items()
    ]
    return {
        "recall": [row for row in tables if row["n"]],
        "by_group": _by_group(rows, places["group left out"]),
        "weights": dict(zip(FEATURES, map(float, fit(rows)), strict=True)),
    }


def _recall(rows: Sequence[Listed], places: Sequence[int], name: str, variant: str, mode: str) -> dict[str, float]:
    own = [
        place
        for row, place in zip(rows, places, strict=True)
        if (row.corpus, row.asked.variant, row.asked.mode) == (name, variant, mode)
    ]
    return {"n": len(own), **{f"recall_at_{k}": sum(p < k for p in own) / max(1, len(own)) for k in (1, 3)}}


def _by_group(rows: Sequence[Listed], places: Sequence[int]) -> list[dict[str, Any]]:
    """For whole alerts and runbooks, by weights that never saw the group."""
    found = []
    for group in sorted({row.asked.group for row in rows}):
        for mode in get_args(Mode):
            chosen = [(row, place) for row, place in zip(rows, places, strict=True) if row.asked.group == group]
            own, where = [row for row, _ in chosen], [place for _, place in chosen]
            found.append({"group": group, "mode": mode, **_recall(own, where, "whole", "whole", mode)})
    return found


def main(
    weights: Annotated[bool, typer.Option("--weights", help="Print the weights alone, as Python.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn the second stage's weights from the alerts of SUTURE_DATA, and measure it on what it did not see."""
    from retrieval.minilm import build

    data = data_folder()
    rows = gather(data / "alerts/kube-prometheus.jsonl", data / "runbooks/prometheus-operator", build({}))
    if weights:
        typer.echo("\n".join(f'    "{name}": {value:.3f},' for name, value in zip(FEATURES, fit(rows), strict=True)))
        return
    result = evaluate(rows)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    for row in result["recall"]:
        where = f"{row['corpus']:<11} {row['variant']:<15} {row['mode']:<5} {row['how']:<15}"
        typer.echo(f"{where} n {row['n']:<4} recall@1 {row['recall_at_1']:.3f}  @3 {row['recall_at_3']:.3f}")
    for row in result["by_group"]:
        typer.echo(f"without {row['group']:<13} {row['mode']:<5} n {row['n']:<3} recall@1 {row['recall_at_1']:.3f}")


if __name__ == "__main__":
    typer.run(main)
