"""The ranking suite: which of several remediations fits an incident that is described by its symptoms alone.

No triggers, preconditions or history exist for these incidents, so only the lexical and dense features speak. Exactly
one candidate is right, hence the probabilities are the ranker's odds, divided by their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.calibration import calibration_error, place, selective
from evals.labelled import LabelledIncident, load_labelled
from models.domain.base import sha256_hex
from models.domain.errors import BadInput
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, RankedCandidate
from models.domain.runbook import Check, Passage, ScoredPassage
from models.domain.signal import Signal, SignalKind
from models.ranking.evidence import CandidateEvidence
from models.ranking.ranker import rank
from models.ranking.weights import DEFAULT_WEIGHTS, Weights

if TYPE_CHECKING:
    from models.language.transport import Transport
    from retrieval.embedding import Embedder

CANDIDATES = 5
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


class Similarities(NamedTuple):
    """Scores of every query (row) against every remediation (column)."""

    lexical: Any
    dense: Any


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
        # Only here: the import of the model's transport costs seconds.
        from evals.model_skill import measure_skill

        report["model"] = measure_skill(rows, scores, _transport(model))
    return report


def figures(
    rows: Sequence[LabelledIncident], scores: Similarities, weights: Weights = DEFAULT_WEIGHTS
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
        "rows": told,
    }


def offered(number: int, total: int) -> list[int]:
    """The row itself and the next four, around the end."""
    return [(number + step) % total for step in range(CANDIDATES)]


def rank_row(
    rows: Sequence[LabelledIncident],
    scores: Similarities,
    number: int,
    columns: Sequence[int],
    weights: Weights = DEFAULT_WEIGHTS,
) -> tuple[RankedCandidate, ...]:
    """The remediations of `columns`, ranked for the incident of row `number`."""
    evidence = [_evidence(rows[column], scores, number, column) for column in columns]
    return rank(incident_of(rows[number]), evidence, weights=weights)


def probabilities(ranked: Sequence[RankedCandidate]) -> dict[str, float]:
    """By runbook, the probability of being the right one, given that exactly one of them is: odds over their sum."""
    odds = {one.candidate.runbook: one.probability / (1.0 - min(one.probability, 1 - 1e-9)) for one in ranked}
    total = sum(odds.values())
    return {name: odd / total for name, odd in odds.items()}


def similarities(rows: Sequence[LabelledIncident], embedder: Embedder | None = None) -> Similarities:
    """BM25F and cosine of all queries against all remediations, as retrieval computes them."""
    import numpy as np

    from retrieval.lexical import LexicalIndex
    from retrieval.minilm import build

    encoder = embedder or build({})
    index = LexicalIndex([{"prose": row.remediation} for row in rows])
    queries = encoder.embed([row.query for row in rows])
    return Similarities(
        lexical=np.stack([index.scores(row.query) for row in rows]),
        dense=queries @ encoder.embed([row.remediation for row in rows]).T,
    )


def incident_of(row: LabelledIncident) -> Incident:
    """The row as an incident. Its title is the symptoms' beginning: the row's own title names the fault."""
    return Incident(
        id=row.id,
        title=row.symptoms[:200] or row.id,
        description=row.symptoms,
        signals=tuple(Signal(kind=SignalKind.ALERT, name=name, at=_NEVER) for name in row.signals),
        started_at=_NEVER,
        detected_at=_NEVER,
        updated_at=_NEVER,
    )


def passage_of(row: LabelledIncident, dense: float = 0.0, lexical: float = 0.0) -> ScoredPassage:
    """A remediation as the one passage of its document."""
    text = row.remediation
    passage = Passage(document=row.id, kind="runbook", title=text[:80], start=0, end=len(text), text=text)
    return ScoredPassage(passage=passage, score=dense + lexical, dense=dense, lexical=lexical)


def _evidence(row: LabelledIncident, scores: Similarities, number: int, column: int) -> CandidateEvidence:
    found = passage_of(row, dense=float(scores.dense[number, column]), lexical=float(scores.lexical[number, column]))
    return CandidateEvidence(candidate=_candidate(row), passages=(found,))


def _candidate(row: LabelledIncident) -> Candidate:
    """A remediation in words as a candidate: nothing of it is ever executed."""
    return Candidate(
        incident=row.id,
        environment="evaluation",
        service=None,
        runbook=row.id,
        action="remediation",
        title=row.remediation[:200],
        uses="manual/follow",
        arguments={},
        target=f"remediation:{sha256_hex(row.id)[:8]}",
        parameters={},
        risk="low",
        reversible=True,
        approval="always",
        timeout=timedelta(minutes=1),
        preconditions=(),
        verify=(Check.model_validate({"query": "up", "is": "== 1"}),),
        rollback=None,
    )


def _transport(name: str) -> Transport:
    from service.language import language_model
    from service.settings import load_settings

    found = language_model(load_settings(model=name))
    if found is None:
        raise BadInput("no model is named")
    return found
