"""The ranking suite: which of several remediations fits an incident that is described by its symptoms alone.

No triggers, preconditions, history or runbooks exist for these incidents, so only the remedy's own words and the bridge
by causes speak, with REMEDY_WEIGHTS. Exactly one candidate is right, hence the probabilities are the ranker's odds,
divided by their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals import risk_control
from evals.calibration import calibration_error, place, selective
from evals.labelled import LabelledIncident, load_labelled
from evals.model_skill import measure_skill
from evals.offers import CANDIDATES, Similarities, offered, probabilities, rank_row, similarities
from models.domain.errors import BadInput
from models.ranking.weights import REMEDY_WEIGHTS, Weights

if TYPE_CHECKING:
    from models.language.transport import Transport

_NOTE = (
    "Two weights of the ranker were fitted on ITBench's development rows and others: on those rows this is in sample, "
    "and `python -m evals.ranking_remedies` prints the cross-validated figures."
)


def run_ranking(incidents: Path, model: str | None = None) -> dict[str, Any]:
    """The figures of `suture eval ranking`; `model` adds what a language model does with the same rows.

    Raises BadInput where the file is not as it should be.
    """
    rows = load_labelled(incidents)
    if len(rows) < CANDIDATES:
        raise BadInput(f"needs at least {CANDIDATES} incidents with a remediation of their own", where=str(incidents))
    scores = similarities(rows)
    report = figures(rows, scores)
    if model is not None:
        report["model"] = measure_skill(rows, scores, _transport(model))
    return report


def figures(
    rows: Sequence[LabelledIncident], scores: Similarities, weights: Weights = REMEDY_WEIGHTS
) -> dict[str, Any]:
    """Figures over all rows."""
    told: list[dict[str, Any]] = []
    pairs: list[tuple[float, float]] = []
    answers: list[tuple[float, float]] = []
    everything = range(len(rows))
    top1_all = 0.0
    for number, row in enumerate(rows):
        chances = probabilities(rank_row(rows, scores, number, offered(number, len(rows)), weights))
        won = place(chances, row.id)
        pairs += [(chance, float(name == row.id)) for name, chance in chances.items()]
        answers.append((max(chances.values()), won.top1))
        top1_all += place(probabilities(rank_row(rows, scores, number, everything, weights)), row.id).top1
        ranked = [{"id": name, "probability": round(chance, 4)} for name, chance in chances.items()]
        told.append({"id": row.id, "top1": won.top1, "reciprocal_rank": won.reciprocal_rank, "ranked": ranked})
    return {
        "n": len(rows),
        "top1": sum(row["top1"] for row in told) / len(rows),
        "top1_all": top1_all / len(rows),
        "mrr": sum(row["reciprocal_rank"] for row in told) / len(rows),
        "ece": calibration_error(pairs),
        "selective": [one._asdict() for one in selective(answers)],
        "abstention": risk_control.report(answers),
        "notes": [_NOTE],
        "rows": told,
    }


def _transport(name: str) -> Transport:
    from service.language import language_model
    from service.settings import load_settings

    found = language_model(load_settings(model=name))
    if found is None:
        raise BadInput("no model is named")
    return found
