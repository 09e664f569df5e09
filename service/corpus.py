"""The corpus as it is now: documents of the folders and of the sources, kept beside the index that searches them."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.domain.base import Clock, utc_now
from models.domain.errors import NotFound
from models.domain.runbook import Action, Document, Runbook
from retrieval.embedding import Embedder
from retrieval.index import PassageIndex, SyncReport
from runbooks.loader import Corpus, Problem, Readings, load_corpus
from service.corpus_sources.documents import read_sources
from service.corpus_sources.store import SourceStore
from service.ports import Context
from service.registry import EMBEDDERS, build
from service.security.secrets import resolve_secret
from service.settings import Settings

_log = logging.getLogger(__name__)

_ANYWAY_SECONDS = 300.0
"""An index that another process has synced with other settings is set right after so long."""


class CorpusKeeper:
    """Reads folders and sources and brings the index up to date; what was valid serves on when something is not."""

    def __init__(
        self, folders: Sequence[Path], postmortems: Path, index: PassageIndex, sources: SourceStore | None = None
    ) -> None:
        """`postmortems` is where drafts are written; it is read with the folders. `sources`: what was added to them."""
        self._folders = (*folders, postmortems)
        self._postmortems = postmortems
        self._index = index
        self._sources = sources
        self._writing = threading.Lock()
        self._readings = Readings()
        self._counting = threading.Lock()
        self._drafts = 0
        self._indexed = 0
        self._corpus = Corpus(documents=(), problems=())
        self._by_id: Mapping[str, Document] = {}
        self._imported: tuple[str, Corpus] = ("", Corpus(documents=(), problems=()))
        self._synced_at: float | None = None

    def sync(self) -> SyncReport:
        """Read everything anew and index what changed. A problem is logged when it appears."""
        with self._writing:
            return self._sync()

    def refresh(self) -> None:
        """As `sync`, for calling often: where nothing has changed, the index is left alone."""
        with self._writing:
            corpus = self._read()
            late = self._synced_at is None or time.monotonic() - self._synced_at > _ANYWAY_SECONDS
            if late or not _same(corpus, self._corpus):
                self._serve(corpus)

    def add_postmortem(self, name: str, text: str) -> None:
        """Write a draft, whole or not at all, and index it. A draft of the same name is replaced."""
        self._postmortems.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self._postmortems, suffix=".tmp", delete=False
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # else a power cut after the renaming may leave an empty file
        Path(file.name).replace(self._postmortems / f"{name}.md")
        with self._counting:
            self._drafts += 1
            mine = self._drafts
        with self._writing:
            if self._indexed < mine:  # else another's reading, begun since, has it
                there = self._drafts
                self._sync()
                self._indexed = there

    def _sync(self) -> SyncReport:
        return self._serve(self._read())

    def _read(self) -> Corpus:
        self._postmortems.mkdir(parents=True, exist_ok=True)
        return joined(self._kept(load_corpus(self._folders, self._readings)), self._from_sources())

    def _serve(self, corpus: Corpus) -> SyncReport:
        report = self._index.sync(corpus.documents)
        for problem in corpus.problems:
            if problem not in self._corpus.problems:
                _log.warning("%s", problem)
        self._corpus = corpus
        self._by_id = {document.id: document for document in corpus.documents}
        self._synced_at = time.monotonic()
        return report

    def _kept(self, corpus: Corpus) -> Corpus:
        """With the documents of folders that cannot be read now: a volume that went away takes nothing with it."""
        gone = [Path(problem.file) for problem in corpus.problems if problem.line == 0]
        if not gone:
            return corpus
        there = {document.id for document in (*corpus.documents, *self._imported[1].documents)}
        kept = tuple(
            document
            for document in self._corpus.documents
            if document.id not in there and any(Path(document.path).is_relative_to(folder) for folder in gone)
        )
        return Corpus((*corpus.documents, *kept), corpus.problems)

    def _from_sources(self) -> Corpus:
        if self._sources is None:
            return self._imported[1]
        generation = self._sources.generation()
        if generation != self._imported[0]:
            self._imported = (generation, read_sources(self._sources))
        return self._imported[1]

    def documents(self) -> tuple[Document, ...]:
        """All documents, in the order of the folders, then of the sources."""
        return self._corpus.documents

    def by_id(self) -> Mapping[str, Document]:
        """The same by their ids."""
        return self._by_id

    def runbooks(self) -> tuple[Runbook, ...]:
        """The catalogues of the documents that have one."""
        return self._corpus.runbooks

    def action(self, runbook: str, action: str) -> Action:
        """An entry of the catalogue. Raises NotFound, with what there is."""
        return find_action(self._corpus.runbooks, runbook, action)

    def problems(self) -> tuple[Problem, ...]:
        """What could not be read, and why."""
        return self._corpus.problems


def source_store(settings: Settings) -> SourceStore:
    """Where an installation keeps its sources."""
    return SourceStore(settings.state_dir / "corpus")


def embedder_of(settings: Settings, clock: Clock = utc_now) -> Embedder:
    """The configured embedder, which has not loaded anything yet. Raises BadInput."""
    embedder: Embedder = build(EMBEDDERS, settings.embedder, Context(clock=clock, secret=resolve_secret))
    return embedder


def read_corpus(settings: Settings) -> Corpus:
    """The corpus of an installation without its index: for commands that only look."""
    # The folder of drafts is made with the first.
    folders = [folder for folder in settings.corpus if folder != settings.postmortems or folder.exists()]
    return joined(load_corpus(folders), read_sources(source_store(settings)))


def joined(first: Corpus, second: Corpus) -> Corpus:
    """Both; where two documents have one id, that of the first, and a problem that says so."""
    taken = {document.id: document for document in first.documents}
    documents, problems = list(first.documents), [*first.problems, *second.problems]
    for document in second.documents:
        if document.id in taken:
            words = f"the id {document.id!r} is taken by {taken[document.id].path}"
            problems.append(Problem(document.path, 1, words, "give it another id; until then the file is left out"))
            continue
        taken[document.id] = document
        documents.append(document)
    return Corpus(tuple(documents), tuple(problems))


def _same(one: Corpus, other: Corpus) -> bool:
    """Whether nothing was read anew. By identity: comparing 20,000 texts takes longer than that."""
    return (
        len(one.documents) == len(other.documents)
        and all(mine is its for mine, its in zip(one.documents, other.documents, strict=True))
        and one.problems == other.problems
    )


def find_action(runbooks: Sequence[Runbook], runbook: str, action: str) -> Action:
    """An entry of the catalogue. Raises NotFound, with what there is."""
    known = next((one for one in runbooks if one.id == runbook), None)
    if known is None:
        raise NotFound(f"there is no runbook {runbook!r} with actions; `suture runbook list` shows them")
    found = next((one for one in known.actions if one.id == action), None)
    if found is None:
        names = ", ".join(one.id for one in known.actions)
        raise NotFound(f"the runbook {runbook} has no action {action!r}; it has {names}")
    return found
