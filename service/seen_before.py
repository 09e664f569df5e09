"""Past incidents that are like this one: the same metrics moved the same way, or their postmortems say the same."""

from __future__ import annotations

from collections.abc import Mapping

from models.domain.incident import Incident
from models.domain.recommendation import Citation, SimilarIncident
from models.domain.runbook import Document
from models.ranking.citations import cite_best, cite_opening, incident_text, words_of
from retrieval.index import PassageIndex
from retrieval.scoring import ScoredDocument
from retrieval.signature import Moves, moves_of, signature_of

MOST = 3
ALIKE, UNLIKE = 0.5, 0.25
"""Likeness from which telemetry speaks for a past incident by itself, and below which it speaks against one that words
found: of all that moved in either, weighted by rarity, half or a quarter moved in both, the same way. Stated, not
fitted: there is no labelled set of pairs of incidents."""


def seen_before(
    incident: Incident, query: str, index: PassageIndex, documents: Mapping[str, Document]
) -> tuple[SimilarIncident, ...]:
    """At most MOST postmortems: first by telemetry, however they are worded, then by words.

    Each with what it was about, as a citation of one of `documents`.
    """
    # What an earlier episode of a reopened incident taught is the most alike of all.
    own = [incident.id.lower()] if incident.episode == 1 else []
    signature = signature_of(incident)
    moves = {one.document: one for one in index.alike(signature, len(documents), exclude=own)}
    told = {one.document: one for one in index.documents(query, MOST, kind="postmortem", exclude=own)}
    by_moves = [name for name, one in moves.items() if one.likeness >= ALIKE]
    by_words = [
        name
        for name in told
        if not (signature and _moves(documents.get(name))) or (name in moves and moves[name].likeness >= UNLIKE)
    ]
    wanted = words_of(incident_text(incident))
    found = []
    for name in dict.fromkeys((*by_moves, *by_words)):
        citation = _lesson(documents.get(name), told.get(name), wanted)
        if citation is not None:
            alike = moves.get(name)
            moved = tuple(f"{metric} {way}" for metric, way in alike.shared) if alike else ()
            found.append(
                SimilarIncident(**citation.model_dump(), moved=moved, likeness=alike.likeness if alike else None)
            )
    return tuple(found[:MOST])


def _moves(document: Document | None) -> Moves:
    return moves_of(document.metadata, document.text[document.body_start :]) if document else ()


def _lesson(document: Document | None, told: ScoredDocument | None, wanted: frozenset[str]) -> Citation | None:
    """What a past incident was about: how its postmortem begins, else its most fitting sentence."""
    if document is None:
        return None
    opening = cite_opening(document)
    if opening is not None or told is None:
        return opening
    return next(iter(cite_best(told.passages, wanted, {document.id: document}, 1)), None)
