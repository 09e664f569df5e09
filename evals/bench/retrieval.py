"""Building and asking the passage index, at the library's size and at 10,000 passages."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from evals.bench.chroma_default import passages_a_second
from evals.bench.figures import Figure, percentiles, timed
from evals.bench.large_corpus import RandomVectors, bench_large_recommendation, made_up
from retrieval.chunks import passages_of
from retrieval.index import PassageIndex
from retrieval.records import embedded_text

_QUERIES = 100
_QUERY = "orders-db refuses connections, pg_up is 0, checkout answers 5xx since {}"


def bench_retrieval(folder: Path) -> list[Figure]:
    """Both with the index in a folder, as it is served. A query asks for passages and for documents."""
    return [
        *_library(folder / "library"),
        *_large(folder / "large"),
        *bench_large_recommendation(folder / "recommend"),
    ]


def _library(folder: Path) -> list[Figure]:
    from retrieval.cache_folder import cache_folder
    from retrieval.minilm import MiniLM
    from runbooks import LIBRARY
    from runbooks.loader import load_corpus

    embedder = MiniLM(cache_folder())
    embedder.embed(["loads the model"])
    documents = load_corpus([LIBRARY, LIBRARY.parent / "postmortems"]).documents
    index = PassageIndex(folder, embedder)
    try:
        start = time.perf_counter()
        index.sync(documents)
        built = len(index) / (time.perf_counter() - start)
        queries = timed([partial(_ask, index, number) for number in range(_QUERIES)])
        embeds = timed([partial(embedder.embed, [_QUERY.format(-number)]) for number in range(1, _QUERIES)])
        note = f"MiniLM, {len(index)} passages"
    finally:
        index.close()
    texts = [embedded_text(passage) for document in documents for passage in passages_of(document)]
    chroma = passages_a_second(texts, folder / "chroma-default")
    return [
        Figure("index build, library", built, "passages/s", chroma, f"{note}; peer: Chroma's default embedding code"),
        *percentiles("query, library", queries, embeds, f"{note}; peer: embedding the query"),
    ]


def _large(folder: Path) -> list[Figure]:
    documents = made_up()
    index = PassageIndex(folder, RandomVectors())
    try:
        start = time.perf_counter()
        index.sync(documents)
        built = len(index) / (time.perf_counter() - start)
        queries = timed([partial(_ask, index, number) for number in range(_QUERIES)])
        note = f"{len(index):,} made-up passages, random vectors"
    finally:
        index.close()
    return [
        Figure("index build, large", built, "passages/s", note=note),
        *percentiles("query, large", queries, note=note),
    ]


def _ask(index: PassageIndex, number: int) -> None:
    query = _QUERY.format(number)
    index.search(query, 10, kind="runbook")
    index.documents(query, 3, kind="postmortem")
