"""The passage index as a LangChain retriever, for chains of the user's own."""

from __future__ import annotations

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

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        return [_document(found) for found in self.index.search(query, self.k, kind=self.kind)]


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
