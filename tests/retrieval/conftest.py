"""Embedders and documents for tests of retrieval."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.runbook import Document, DocumentKind
from retrieval.cache_folder import cache_folder
from retrieval.minilm import MiniLM


class HashingEmbedder:
    """Bags of words, hashed: texts with common words are near. Deterministic, and quick enough for thousands."""

    def __init__(self, dimension: int = 64, identity: str = "hashing") -> None:
        self.dimension, self.identity = dimension, identity
        self.embedded: list[str] = []
        self.fails = False

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.fails:
            raise RuntimeError("the embedder fails")
        self.embedded += texts
        vectors = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, int.from_bytes(hashlib.md5(word.encode()).digest()[:4]) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def hashing() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    """The model itself, without the cache of vectors."""
    return MiniLM(cache_folder())


MakeDocument = Callable[..., Document]


@pytest.fixture(scope="session")
def make_document() -> MakeDocument:
    def make(
        id_: str, text: str, *, title: str | None = None, kind: DocumentKind = "runbook", body_start: int = 0
    ) -> Document:
        return Document(
            id=id_,
            kind=kind,
            title=title or id_,
            text=text,
            body_start=body_start,
            path=f"corpus/{id_}.md",
            metadata={},
        )

    return make


@pytest.fixture(scope="session")
def library(make_document: MakeDocument) -> list[Document]:
    """Five short documents on different subjects."""
    return [
        make_document(
            "pool-exhausted",
            "# Connection pool exhausted\n\n## Symptoms\n\nCheckout requests wait for a database connection"
            " and time out. `db_pool_in_use` stays at `db_pool_size`.\n\n"
            "## Mitigation\n\nRestart the process that leaks connections.\n",
            title="Connection pool exhausted",
        ),
        make_document(
            "certificate-expired",
            "# Certificate expired\n\n## Symptoms\n\nClients refuse the TLS handshake.\n\n## Mitigation\n\n"
            "```sh\nopenssl x509 -enddate -in server.pem\n```\n\nIssue a new certificate.\n",
            title="Certificate expired",
        ),
        make_document(
            "DiskFillingUp",
            "# DiskFillingUp\n\n## Meaning\n\nA volume runs out of space within hours.\n\n"
            "## Mitigation\n\nRotate the logs.\n",
        ),
        make_document(
            "high-cpu",
            "# High CPU\n\n## Symptoms\n\nThe processor is saturated and latency rises.\n\n"
            "## Mitigation\n\nScale out.\n",
            title="High CPU",
        ),
        make_document(
            "INC-7",
            "# Shop down after a failed deployment\n\nThe new version crashed at start;"
            " rolling back restored service.\n",
            title="Shop down after a failed deployment",
            kind="postmortem",
        ),
    ]
