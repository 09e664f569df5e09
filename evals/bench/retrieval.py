"""Building and asking the passage index, at the library's size and at 10,000 passages."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evals.bench.figures import Figure, percentiles, timed
from models.domain.runbook import Document
from retrieval.index import PassageIndex

_QUERIES = 100
_DOCUMENTS, _SECTIONS, _WORDS = 2_000, 5, 60
_QUERY = "orders-db refuses connections, pg_up is 0, checkout answers 5xx since {}"


def bench_retrieval(folder: Path) -> list[Figure]:
    """Both with the index in a folder, as it is served. A query asks for passages and for documents."""
    return [*_library(folder / "library"), *_large(folder / "large")]


def _library(folder: Path) -> list[Figure]:
    from retrieval.cache_folder import cache_folder
    from retrieval.minilm import MiniLM
    from runbooks.loader import load_corpus
    from service.settings import LIBRARY

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
    return [
        Figure("index build, library", built, "passages/s", note=f"{note}, none of them remembered"),
        *percentiles("query, library", queries, embeds, f"{note}; peer: embedding the query"),
    ]


def _large(folder: Path) -> list[Figure]:
    documents = _made_up()
    index = PassageIndex(folder, _Random())
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


def _made_up() -> list[Document]:
    random = np.random.default_rng(1)
    words = np.array([f"word{number}" for number in range(5_000)])
    # As in a language, few words are frequent: Zipf's law.
    chance = 1 / np.arange(1, len(words) + 1)
    chosen = random.choice(words, (_DOCUMENTS, _SECTIONS, _WORDS), p=chance / chance.sum())
    return [
        Document(
            id=f"document-{number}",
            kind="runbook" if number % 4 else "postmortem",
            title=f"Document {number} on {sections[0][0]}",
            text="\n\n".join(f"## Part {part}\n\n{' '.join(section)}" for part, section in enumerate(sections)),
            body_start=0,
            path=f"{number}.md",
            metadata={},
        )
        for number, sections in enumerate(chosen)
    ]


class _Random:
    """Unit vectors that depend on the text alone, at no cost worth counting."""

    identity, dimension = "bench-random", 384

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(self.dimension)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors
