"""10,000 made-up passages, and a whole recommendation among them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evals.bench.figures import Figure, percentiles, timed
from models.domain.incident import Incident
from models.domain.runbook import Document
from models.domain.signal import Signal, SignalKind
from retrieval.embedding import Embedder
from retrieval.index import PassageIndex

_DOCUMENTS, _SECTIONS, _WORDS = 2_000, 5, 60
_INCIDENTS = 100


def made_up() -> list[Document]:
    """2,000 documents of five passages each, whose words are as unevenly frequent as a language's."""
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


class RandomVectors:
    """Unit vectors that depend on the text alone, at no cost worth counting; a single text, a query, by `queries`."""

    dimension = 384

    def __init__(self, queries: Embedder | None = None) -> None:
        self.identity, self._queries = "bench-random", queries

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape [len(texts), 384]."""
        if self._queries and len(texts) == 1:
            return self._queries.embed(texts)
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(self.dimension)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def bench_large_recommendation(folder: Path) -> list[Figure]:
    """Localise, retrieve and rank among the library and 10,000 made-up passages; MiniLM embeds the query."""
    from models.domain.base import utc_now
    from retrieval.cache_folder import cache_folder
    from retrieval.embedding_cache import CachedEmbedder
    from retrieval.minilm import MiniLM
    from runbooks import LIBRARY
    from service.bridging import Bridge
    from service.corpus import CorpusKeeper
    from service.evidence import EvidenceGatherer, Means
    from service.pipeline import Pipeline
    from service.registry import verb_catalogue
    from service.settings import Settings
    from service.topology import load_topology

    pages = folder / "pages"
    pages.mkdir(parents=True)
    for document in made_up():
        (pages / f"{document.id}.md").write_text(f"# {document.title}\n\n{document.text}\n", encoding="utf-8")
    minilm = MiniLM(cache_folder())
    minilm.embed(["loads the model"])
    # As the service has it: a query that was just embedded is known.
    embedder = CachedEmbedder(minilm, folder / "vectors.db")
    index = PassageIndex(folder / "index", RandomVectors(embedder))
    try:
        corpus = CorpusKeeper((LIBRARY, pages), folder / "postmortems", index)
        corpus.sync()
        settings = Settings(state_dir=folder / "state")
        pipeline = Pipeline(
            settings=settings,
            clock=utc_now,
            topology=load_topology(settings.topology),
            corpus=corpus,
            evidence=EvidenceGatherer(corpus, index, verb_catalogue(), utc_now, means=Means(Bridge(embedder))),
            source=None,
        )
        pipeline.recommend(_incident(-1))
        taken = timed([partial(pipeline.recommend, _incident(number)) for number in range(_INCIDENTS)])
        embeds = timed([partial(minilm.embed, [f"{_text(-number)} refused"]) for number in range(_INCIDENTS)])
        note = f"{len(index):,} passages; peer: embedding its text"
    finally:
        index.close()
    return percentiles("recommend, 10,000 passages", taken, embeds, note)


def _text(number: int) -> str:
    return f"orders-db refuses connections, pg_up is 0, checkout answers 5xx since {number}"


def _incident(number: int) -> Incident:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    signals = (
        Signal(
            kind=SignalKind.ALERT, name="PostgresDown", at=at, metric="pg_up", labels={"service": "orders-db"},
            text=_text(number),
        ),
    )  # fmt: skip
    return Incident(
        id=f"INC-{number + 2}", title="orders-db refuses connections", services=("orders-db",), signals=signals,
        started_at=at, detected_at=at, updated_at=at,
    )  # fmt: skip
