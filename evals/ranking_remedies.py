"""Where REMEDY_WEIGHTS come from: how much a remedy's words and its causes say of whether it fits an incident.

    SUTURE_DATA=… python -m evals.ranking_remedies

A conditional logit (McFadden 1974): among the five remedies that are offered for an incident, the right one. Four sets
of incidents and remedies count, each as much as one third of the development rows: those rows themselves, whole
incidents of the same project, alerting rules with the section Mitigation of their runbook, and our own library's
Symptoms with its Mitigation. Cross-validated figures leave out one development row at a time, and with it every whole
incident that holds its fault.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.calibration import calibration_error
from evals.labelled import LabelledIncident, load_labelled
from evals.offers import Similarities, offered, similarities
from evals.ranking_weights import load_alerts, query_of_alert, section
from models.ranking.bridge import match_remedies

FEATURES = ("remedy", "bridge")
RIDGE = 0.01
"""Of 0.001, 0.003, 0.01, 0.03 and 0.1 the one of least cross-validated log loss; main prints all."""
RIDGES = (0.001, 0.003, 0.01, 0.03, 0.1)
SHARE = 1 / 3

Floats = NDArray[np.float64]


class Choice(NamedTuple):
    """One incident: the remedies' features among five and among all, the right one first."""

    id: str
    faults: frozenset[str]
    five: Floats
    all: Floats
    weight: float


def choices(rows: Sequence[LabelledIncident], faults: Mapping[str, Sequence[str]], total: float) -> list[Choice]:
    """The choices of a set whose weights sum to `total`. `faults` by row: what it holds, by default itself."""
    scores = similarities(rows)
    count = len(rows)
    return [
        Choice(
            id=row.id,
            faults=frozenset(faults.get(row.id, [row.id])),
            five=_features(scores, number, offered(number, count)),
            all=_features(scores, number, [(number + step) % count for step in range(count)]),
            weight=total / count,
        )
        for number, row in enumerate(rows)
    ]


def fit(among: Sequence[Choice], ridge: float = RIDGE) -> Floats:
    """The weights, none below 0, of the least weighted mean log loss plus ridge."""
    from scipy.optimize import minimize

    total = sum(one.weight for one in among)

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = ridge * weights @ weights / 2, ridge * weights
        for one in among:
            chances = softmax(one.five @ weights)
            value -= one.weight / total * math.log(chances[0])
            slope = slope + one.weight / total * (chances @ one.five - one.five[0])
        return float(value), slope

    start = np.zeros(len(FEATURES))
    found = minimize(loss, start, jac=True, bounds=[(0.0, None)] * len(start), method="L-BFGS-B")
    return np.asarray(found.x)


def figures(judged: Sequence[tuple[Choice, Floats]]) -> dict[str, float]:
    """Top-1 among five and among all, log loss and calibration error of choices, each with the weights for it."""
    pairs: list[tuple[float, float]] = []
    for one, weights in judged:
        pairs += [(float(chance), float(place == 0)) for place, chance in enumerate(softmax(one.five @ weights))]
    return {
        "n": len(judged),
        "top1": float(np.mean([_first(one.five @ weights) for one, weights in judged])),
        "top1_all": float(np.mean([_first(one.all @ weights) for one, weights in judged])),
        "log_loss": float(np.mean([-math.log(softmax(one.five @ weights)[0]) for one, weights in judged])),
        "ece": calibration_error(pairs),
    }


def cross_validate(rows: Sequence[Choice], others: Sequence[Choice], ridge: float = RIDGE) -> dict[str, float]:
    """Figures of each development row by weights that neither it nor any incident with its fault has seen."""
    judged = []
    for held in rows:
        seen = [one for one in (*rows, *others) if not one.faults & held.faults]
        judged.append((held, fit(seen, ridge)))
    return figures(judged)


def softmax(scores: Floats) -> Floats:
    """Probabilities from log-odds."""
    odds = np.exp(scores - scores.max())
    return np.asarray(odds / odds.sum())


def _first(scores: Floats) -> float:
    """Whether the first is the best, by expectation where others are as good."""
    return float(scores[0] == scores.max()) / float((scores == scores[0]).sum())


def _features(scores: Similarities, number: int, columns: list[int]) -> Floats:
    matches = match_remedies(scores.signs[number], scores.remedies[columns], scores.lexical[number, columns])
    return np.array([[match.words, match.bridge] for match in matches])


def load_sets(data: Path) -> dict[str, list[Choice]]:
    """All sets by name, the development rows first."""
    rows = load_labelled(data / "itbench" / "faults.jsonl")
    scenarios, faults = _scenarios(data / "itbench" / "scenarios.jsonl")
    own = {row.id: [row.id.removeprefix("itbench-fault-")] for row in rows}
    found = {"rows": choices(rows, own, float(len(rows)))}
    others = {"incidents": scenarios, "alerts": _alerts(data), "library": _library()}
    return found | {name: choices(held, faults, len(rows) * SHARE) for name, held in others.items()}


def _scenarios(file: Path) -> tuple[list[LabelledIncident], dict[str, list[str]]]:
    """Whole incidents with the first remedy of theirs that no earlier one has, and the faults that each holds."""
    rows, faults, used = [], {}, set()
    for line in file.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        remedies = [" ".join(step["text"].strip() for step in steps) for steps in row["gold_solutions"][0]]
        own = next((remedy for remedy in remedies if remedy not in used), None)
        if own:
            used.add(own)
            rows.append(_row(row["id"], row["symptoms"], row["signals"], own))
            faults[row["id"]] = row["faults"]
    return rows, faults


def _alerts(data: Path) -> list[LabelledIncident]:
    """The first alert of every runbook that has something under Mitigation."""
    rows: dict[str, LabelledIncident] = {}
    for alert in load_alerts(data):
        gold = alert["gold_runbook"]
        remedy = section((data / "runbooks" / "prometheus-operator" / f"{gold}.md").read_text("utf-8"), "Mitigation")
        if gold not in rows and len(remedy) >= 40:
            rows[gold] = _row(gold, query_of_alert(alert), (), remedy)
    return list(rows.values())


def _library() -> list[LabelledIncident]:
    from runbooks import LIBRARY
    from runbooks.loader import load_corpus

    found = []
    for document in load_corpus([LIBRARY]).documents:
        symptoms, remedy = (section(document.text, name) for name in ("Symptoms", "Mitigation"))
        if symptoms and remedy:
            found.append(_row(document.id, symptoms, (), remedy))
    return found


def _row(id_: str, symptoms: str, signals: Sequence[str], remedy: str) -> LabelledIncident:
    return LabelledIncident(id=id_, symptoms=symptoms, signals=tuple(signals), remediation=remedy)


def main() -> None:
    """Report the cross-validated and the in-sample figures on standard error, print the weights."""
    sets = load_sets(Path(os.environ.get("SUTURE_DATA", "../shared/data")))
    rows = sets.pop("rows")
    others = [one for held in sets.values() for one in held]
    for ridge in RIDGES:
        sys.stderr.write(f"left out, ridge {ridge}: {json.dumps(cross_validate(rows, others, ridge))}\n")
    weights = fit([*rows, *others])
    for name, held in {"rows, in sample": rows, **sets}.items():
        sys.stderr.write(f"{name}: {json.dumps(figures([(one, weights) for one in held]))}\n")
    for name, weight in zip(FEATURES, weights, strict=True):
        sys.stdout.write(f'"{name}": {weight:.2f},\n')


if __name__ == "__main__":
    main()
