"""The second stage's weights, as `python -m evals.retrieval_reranker --weights` prints them."""

from __future__ import annotations

from collections.abc import Mapping

WEIGHTS: Mapping[str, float] = {
    "fused": 0.592,
    "lexical": 2.047,
    "dense": 2.415,
    "title_sim": 1.604,
    "title_covered": 1.324,
    "query_in_title": 2.026,
    "query_in_lead": 1.227,
    "twin_title": 1.370,
    "twin_title_less": 0.436,
    "name": 1.490,
    "title_synonyms": 0.554,
    "concepts_in_title": 0.603,
}
