"""The corpus: runbooks and postmortems, and what is wrong with those that could not be read."""

from __future__ import annotations

from dataclasses import asdict

from models.domain.base import Frozen
from models.domain.errors import NotFound
from models.domain.runbook import Document, DocumentKind
from service.api import examples
from service.api.dependencies import Identifier, PartsOf, answers, resource
from service.corpus_stats import CorpusProblem
from service.security.auth import VIEWER

router = resource("runbooks")


class DocumentSummary(Frozen):
    """A document without its text."""

    id: str
    kind: DocumentKind
    title: str
    path: str
    actions: tuple[str, ...]
    """Ids of the actions in its catalogue; a plain runbook has none."""


class CorpusView(Frozen):
    """All documents, and all problems."""

    items: tuple[DocumentSummary, ...]
    problems: tuple[CorpusProblem, ...]


@router.get(
    "/v1/runbooks",
    summary="List runbooks and postmortems",
    responses=answers({"items": [examples.DOCUMENT_SUMMARY], "problems": [examples.CORPUS_PROBLEM]}),
    dependencies=[VIEWER],
)
def list_runbooks(parts: PartsOf) -> CorpusView:
    """Everything that is retrieved from, and the files that cannot be used, with file, line and mend."""
    items = tuple(_summary(document) for document in parts.corpus.documents())
    problems = tuple(CorpusProblem(**asdict(each)) for each in parts.corpus.problems())
    return CorpusView(items=items, problems=problems)


@router.get(
    "/v1/runbooks/{id}",
    summary="One runbook or postmortem",
    responses=answers(examples.DOCUMENT, 404),
    dependencies=[VIEWER],
)
def get_runbook(parts: PartsOf, id: Identifier) -> Document:
    """With its text, and its catalogue of actions where it has one. Citations' spans count characters of `text`."""
    found = next((document for document in parts.corpus.documents() if document.id == id), None)
    if found is None:
        raise NotFound(f"there is no runbook or postmortem {id!r}")
    return found


def _summary(document: Document) -> DocumentSummary:
    actions = tuple(action.id for action in document.runbook.actions) if document.runbook else ()
    return DocumentSummary(
        id=document.id, kind=document.kind, title=document.title, path=document.path, actions=actions
    )
