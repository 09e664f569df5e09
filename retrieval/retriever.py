"""The passage index as a LangChain retriever, for chains of the user's own."""

from __future__ import annotations

from datetime import datetime

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from models.domain.runbook import DocumentKind, ScoredPassage
from retrieval.index import PassageIndex


class PassageRetriever(BaseRetriever):
    """Passages as LangChain documents, best first.

    The metadata say where the text stands (`document`, `kind`, `title`, `headings`, `start`, `end` in characters)
    and why it was found (`score`, `dense`, `lexical`).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: PassageIndex
    k: int = 10
    kind: DocumentKind | None = None
    """Only runbooks, or only postmortems; None for both."""
    service: str | None = None
    """Only what is about this service, or does not say."""
    environment: str | None = None
    """Only what is about this environment, or does not say."""
    since: datetime | None = None
    """Only incidents that began then or later, and what has no date."""

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        found = self.index.search(
            query, self.k, kind=self.kind, service=self.service, environment=self.environment, since=self.since
        )
        return [_document(one) for one in found]


def _document(found: ScoredPassage) -> Document:
    passage = found.passage
    metadata = {
        **passage.model_dump(exclude={"text", "headings"}),
        "headings": list(passage.headings),
        "score": found.score,
        "dense": found.dense,
        "lexical": found.lexical,
    }
    return Document(
        id=f"{passage.document}:{passage.start}-{passage.end}", page_content=passage.text, metadata=metadata
    )
