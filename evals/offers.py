"""Labelled incidents as the ranker sees them: which remediations are offered for a row, and with which evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.labelled import LabelledIncident
from models.domain.base import sha256_hex
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, RankedCandidate
from models.domain.runbook import Check, Passage, ScoredPassage
from models.domain.signal import Signal, SignalKind
from models.ranking.bridge import RemedyMatch, match_remedies
from models.ranking.evidence import CandidateEvidence
from models.ranking.ranker import rank
from models.ranking.weights import REMEDY_WEIGHTS, Weights
from service.bridging import Bridge

if TYPE_CHECKING:
    from retrieval.embedding import Embedder

CANDIDATES = 5
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


class Similarities(NamedTuple):
    """Scores of every query (row) against every remediation (column), and of both against the causes of the bridge."""

    lexical: Any
    dense: Any
    signs: Any
    """Of every query, shape [rows, causes]."""
    remedies: Any
    """Of every remediation, shape [rows, causes]."""


def offered(number: int, total: int) -> list[int]:
    """The row itself and the next four, around the end."""
    return [(number + step) % total for step in range(CANDIDATES)]


def rank_row(
    rows: Sequence[LabelledIncident],
    scores: Similarities,
    number: int,
    columns: Sequence[int],
    weights: Weights = REMEDY_WEIGHTS,
) -> tuple[RankedCandidate, ...]:
    """The remediations of `columns`, ranked for the incident of row `number`."""
    chosen = list(columns)
    matches = match_remedies(scores.signs[number], scores.remedies[chosen], scores.lexical[number, chosen])
    evidence = [
        _evidence(rows[column], scores, number, column, match) for column, match in zip(chosen, matches, strict=True)
    ]
    return rank(incident_of(rows[number]), evidence, weights=weights)


def probabilities(ranked: Sequence[RankedCandidate]) -> dict[str, float]:
    """By runbook, the probability of being the right one, given that exactly one of them is: odds over their sum.

    The cap on candidates that nothing speaks for is left out: here one of them is right for certain.
    """
    odds = {
        one.candidate.runbook: math.exp(sum(part.log_odds for part in one.evidence if part.feature != "unmatched"))
        for one in ranked
    }
    total = sum(odds.values())
    return {name: odd / total for name, odd in odds.items()}


def similarities(rows: Sequence[LabelledIncident], embedder: Embedder | None = None) -> Similarities:
    """BM25F and cosine of all queries against all remediations, as retrieval computes them, and the bridge's scores."""
    import numpy as np

    from retrieval.lexical import LexicalIndex
    from retrieval.minilm import build

    encoder = embedder or build({})
    index = LexicalIndex([{"prose": row.remediation} for row in rows])
    queries, remediations = [row.query for row in rows], [row.remediation for row in rows]
    bridge = Bridge(encoder)
    return Similarities(
        lexical=np.stack([index.scores(query) for query in queries]),
        dense=encoder.embed(queries) @ encoder.embed(remediations).T,
        signs=bridge.signs_of(queries),
        remedies=bridge.remedies_of(remediations),
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


def _evidence(
    row: LabelledIncident, scores: Similarities, number: int, column: int, match: RemedyMatch
) -> CandidateEvidence:
    found = passage_of(row, dense=float(scores.dense[number, column]), lexical=float(scores.lexical[number, column]))
    return CandidateEvidence(candidate=_candidate(row), passages=(found,), remedy=match)


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
