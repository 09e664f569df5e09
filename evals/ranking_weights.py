"""Where the weights of the evidence ranker come from. Prints the table that `models/ranking/weights.py` holds.

    SUTURE_DATA=… python -m evals.ranking_weights

Two sources, told apart because they deserve different trust:

- Measured: bias, lexical, lead, dense, agreement, remedy. A logistic regression with the signs held, on alerting
  rules whose right runbook is known (kube-prometheus). Each alert is used twice, with its runbook among the candidates
  and with it taken away, so that the ranker learns both to choose and to say that nothing fits. A runbook's remedy is
  its section Mitigation. What the remedy alone says, without a runbook around it, is measured in `ranking_remedies`.
- Chosen: bridge. Fitted with the others on these alerts it gets 0, for their runbooks tell of the signs themselves;
  where remedies stand alone it gets 2.7. BRIDGE is as much as the trigger still outweighs: main prints what it and more
  would cost these alerts.
- Assumed: all others, and how much text counts once a trigger matched (`TEXT_SHARE`). No public data has triggers,
  preconditions, diagnosis or outcomes, so these are log-likelihood ratios of the rates in `models.ranking.rates`,
  which are judgement.
  Recorded incidents replace them when there are enough.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.calibration import calibration_error
from models.domain.runbook import ScoredPassage
from models.ranking.bridge import RemedyMatch
from models.ranking.features import SIGNS, agreement, saturate
from models.ranking.rates import RATES, Rate

MEASURED = ("lexical", "lead", "dense", "agreement", "remedy")
BRIDGE = 0.2
"""The alerts' cross-validated log loss would bear more (see BRIDGES), but then all that text loses to a trigger could
outweigh the trigger's own weight."""
BRIDGES = (0.0, 0.2, 0.5, 1.0, 2.0)
PASSAGES = 10
"""As many as the pipeline asks for: the share of right ones among the candidates must be the one it will meet."""
RIDGE = 0.01
"""Strength of the pull to zero: the largest of 0.0001, 0.001, 0.01 and 0.1 whose cross-validated log loss is within a
tenth of the best. Other corpora separate less well than this one, hence the largest."""
FOLDS = 5
LONGEST_REMEDY = 600
"""Characters of a runbook's Mitigation that count as its remedy."""


TRIGGER = Rate(0.70, 0.07)
"""About one wrong match beside one right, among the ten candidates or so that an incident has."""
TRIGGER_ALONE = 0.35
"""The probability of an action whose trigger matched and of which nothing else is known."""
HISTORY = 4.0
"""The slope of the log-odds at a mean of one half: at least as careful as believing the mean itself."""
RISK = -0.5
"""A preference among equals, small beside any evidence."""


class Table(NamedTuple):
    """Feature rows with their truth and the alert that they belong to (folds never split an alert)."""

    features: NDArray[np.float64]
    """In the order of MEASURED."""
    bridge: NDArray[np.float64]
    truth: NDArray[np.float64]
    group: NDArray[np.int64]


def assumed(bias: float) -> dict[str, float]:
    """The assumed weights: log-likelihood ratios of the rates; the trigger lifts the bias to its own prior."""
    found = {name: math.log(rate.right / rate.wrong) for name, rate in RATES.items()}
    return found | {"trigger": _logit(TRIGGER_ALONE) - bias, "history": HISTORY, "risk": RISK}


class Found(NamedTuple):
    """One alert: what was asked, the right document's id, and the passages that retrieval found."""

    query: str
    gold: str
    passages: Sequence[ScoredPassage]


Matcher = Callable[[str, Sequence[str]], Sequence[RemedyMatch]]
"""A query and documents' ids in, how their remedies compare out."""


def table_of(found: Sequence[Found], matcher: Matcher) -> Table:
    """Candidates of all incidents."""
    rows: list[list[float]] = []
    truth: list[float] = []
    group: list[int] = []
    for number, (query, gold, passages) in enumerate(found):
        for documents in (
            _by_document(passages),
            _by_document([one for one in passages if one.passage.document != gold]),
        ):
            strongest = max((_best(held) for held in documents.values()), default=0.0)
            matches = matcher(query, list(documents))
            for (name, held), match in zip(documents.items(), matches, strict=True):
                lead = _best(held) / strongest if strongest > 0 else 0.0
                dense = max(0.0, *(one.dense for one in held))
                text = [saturate(_best(held)), lead, dense, agreement(len(held))]
                rows.append([*text, match.words, match.bridge])
                truth.append(float(name == gold))
                group.append(number)
    table = np.array(rows)
    return Table(table[:, :-1], table[:, -1], np.array(truth), np.array(group))


def fit(table: Table, ridge: float = RIDGE, bridge: float = BRIDGE) -> NDArray[np.float64]:
    """Bias and weights (none below 0) of the least mean log loss plus ridge, shape [1 + features], where the bridge has
    its own.
    """
    from scipy.optimize import minimize

    features, truth = table.features, table.truth

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_odds = _log_odds(table, weights, bridge)
        miss = 1 / (1 + np.exp(-log_odds)) - truth
        slope = np.concatenate([[miss.mean()], features.T @ miss / len(truth) + ridge * weights[1:] / len(weights)])
        value = np.mean(np.logaddexp(0, log_odds) - truth * log_odds)
        return float(value + ridge * weights[1:] @ weights[1:] / 2 / len(weights)), slope

    count = features.shape[1]
    bounds = [(None, None), *[(0.0, None)] * count]
    return np.asarray(minimize(loss, np.zeros(1 + count), jac=True, bounds=bounds, method="L-BFGS-B").x)


def cross_validate(table: Table, ridge: float = RIDGE, bridge: float = BRIDGE) -> dict[str, float]:
    """Mean log loss and calibration error on alerts that the fit did not see."""
    chances = np.empty(len(table.truth))
    for fold in range(FOLDS):
        held_out = table.group % FOLDS == fold
        weights = fit(_rows(table, ~held_out), ridge, bridge)
        chances[held_out] = 1 / (1 + np.exp(-_log_odds(_rows(table, held_out), weights, bridge)))
    bounded = np.clip(chances, 1e-9, 1 - 1e-9)
    loss = -np.mean(np.where(table.truth > 0, np.log(bounded), np.log(1 - bounded)))
    pairs = list(zip(chances.tolist(), table.truth.tolist(), strict=True))
    return {"rows": float(len(chances)), "log_loss": float(loss), "ece": calibration_error(pairs)}


def search_all(data: Path) -> Table:
    """The table of every labelled alert, with what retrieval finds for its summary and description."""
    from retrieval.index import PassageIndex
    from retrieval.minilm import build
    from runbooks.loader import load_corpus
    from service.bridging import Bridge

    embedder = build({})
    index, bridge = PassageIndex(None, embedder), Bridge(embedder)
    documents = load_corpus([data / "runbooks" / "prometheus-operator"]).documents
    index.sync(documents)
    remedies = {one.id: section(one.text, "Mitigation") or one.title for one in documents}
    found = [
        Found(query_of_alert(alert), alert["gold_runbook"], index.search(query_of_alert(alert), PASSAGES))
        for alert in load_alerts(data)
    ]
    return table_of(found, lambda query, ids: bridge.match(query, [remedies[id_] for id_ in ids]))


def section(text: str, name: str) -> str:
    """What stands under the heading of that name, on one line, as far as it counts; empty where there is none."""
    found = re.search(rf"^## {name}\s*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split())[:LONGEST_REMEDY] if found else ""


def load_alerts(data: Path) -> list[dict[str, Any]]:
    """The alerting rules whose runbook is known."""
    lines = (data / "alerts" / "kube-prometheus.jsonl").read_text(encoding="utf-8").splitlines()
    return [alert for alert in map(json.loads, lines) if alert.get("gold_runbook")]


def main() -> None:
    """Fit, report the cross-validated figures on standard error, print the table."""
    table = search_all(Path(os.environ.get("SUTURE_DATA", "../shared/data")))
    for ridge in (0.0001, 0.001, 0.01, 0.1):
        sys.stderr.write(f"ridge {ridge}: {json.dumps(cross_validate(table, ridge))}\n")
    for bridge in BRIDGES:
        sys.stderr.write(f"bridge {bridge}: {json.dumps(cross_validate(table, bridge=bridge))}\n")
    bias, *measured = fit(table).tolist()
    # The alerts were ranked without triggers. Where a runbook has some and none matches, that speaks against it.
    bias += math.log((1 - TRIGGER.right) / (1 - TRIGGER.wrong))
    weights = assumed(bias) | dict(zip(MEASURED, measured, strict=True)) | {"bridge": BRIDGE}
    sys.stdout.write(f"bias={bias:.2f},\n")
    for name in SIGNS:
        sys.stdout.write(f'"{name}": {weights[name]:.2f},\n')


def _log_odds(table: Table, weights: NDArray[np.float64], bridge: float) -> NDArray[np.float64]:
    return np.asarray(weights[0] + table.features @ weights[1:] + bridge * table.bridge)


def _rows(table: Table, chosen: NDArray[np.bool_]) -> Table:
    return Table(table.features[chosen], table.bridge[chosen], table.truth[chosen], table.group[chosen])


def _by_document(passages: Sequence[ScoredPassage]) -> dict[str, list[ScoredPassage]]:
    ordered = sorted(passages, key=lambda one: one.passage.document)
    return {name: list(held) for name, held in groupby(ordered, key=lambda one: one.passage.document)}


def _best(passages: Sequence[ScoredPassage]) -> float:
    return max(one.lexical for one in passages)


def query_of_alert(alert: dict[str, Any]) -> str:
    """Summary and description before the rule fires: without the template's markers."""
    return re.sub(r"\{\{.*?\}\}", " ", f"{alert.get('summary') or ''}\n{alert.get('description') or ''}")


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


if __name__ == "__main__":
    main()
