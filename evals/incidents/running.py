"""Runs the recommendation over labelled incidents. Nothing is executed; the truth is looked at only afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evals.incidents.answers import (
    Judged,
    Option,
    abstention_of,
    candidate_options,
    check_gold,
    culprit_ranks,
    document_options,
    gold_name,
    kind_of,
)
from evals.incidents.format import Gold, LabelledIncident
from evals.incidents.past import Past
from evals.incidents.remedies import remedy_options
from models.domain.base import canonical_json, sha256_hex
from models.domain.incident import Incident
from models.domain.recommendation import Recommendation
from service.recommender import build_recommender
from service.settings import Settings

if TYPE_CHECKING:
    from service.evidence import Evidence
    from service.pipeline import Pipeline

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Answered:
    """What the flow said of one incident."""

    incident: Incident
    evidence: Evidence
    made: Recommendation
    seconds: float


def judge_rows(rows: Sequence[LabelledIncident], settings: Settings, progress: Progress) -> list[Judged]:
    """Every row beside its recommendation, in their order.

    Raises BadInput where a truth names what the runbook folders do not have.
    """
    past = Past()
    pipeline = build_recommender(settings, past.clock, past=past)
    documents, runbooks = pipeline.corpus.documents(), pipeline.corpus.runbooks()
    for row in rows:
        check_gold(row, documents, runbooks)
    kinds = [kind_of(row.gold, runbooks) for row in rows]
    remedies = remedy_options([row for row, kind in zip(rows, kinds, strict=True) if kind == "remedy"])
    # The first recommendation of a process loads what all others use: it would be the slowest of a hundred.
    past.go_to(rows[0])
    answer(pipeline, rows[0].asked(), "warm-up")
    found = []
    for number, (row, kind) in enumerate(zip(rows, kinds, strict=True), 1):
        if number % 50 == 0:
            progress(f"{number} of {len(rows)} incidents …")
        past.go_to(row)
        answered = answer(pipeline, row.asked(), row.id)
        abstained, reason = abstention_of(answered.made) if kind in ("action", "nothing") else (False, "")
        options: tuple[Option, ...] = ()
        if kind in ("action", "nothing"):
            options = candidate_options(answered.made.candidates, row.gold)
        elif kind == "document":
            options = document_options(answered.evidence.passages, row.gold or Gold(runbook="-"))
        elif kind == "remedy":
            options = remedies[row.id]
        found.append(
            Judged(
                id=row.id,
                digest=digest_of(row),
                kind=kind,
                gold=gold_name(row.gold),
                options=options,
                abstained=abstained,
                reason=reason,
                culprit=culprit_ranks(answered.incident.culprits, row.gold),
                seconds=answered.seconds,
                model=answered.made.model,
                title=row.title,
            )
        )
    return found


def answer(pipeline: Pipeline, incident: Incident, identifier: str) -> Answered:
    """Localise, retrieve and rank for one incident, as `Pipeline.recommend` does; the pipeline's clock stands there.

    It gets its identifier only after localising, which takes an incident with a number of the store for one of its
    own. A language model's budget is counted by it.
    """
    began = time.perf_counter()
    located = pipeline.locate(incident).model_copy(update={"id": identifier})
    evidence = pipeline.retrieve(located)
    made = pipeline.rank(located, evidence, "REC-unsaved")
    return Answered(located, evidence, made, time.perf_counter() - began)


def digest_of(row: LabelledIncident) -> str:
    """SHA-256 of all that the row holds."""
    return sha256_hex(canonical_json(row.model_dump(mode="json")))
