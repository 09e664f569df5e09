"""The corpus as it is now: documents read from the folders, kept beside the index that searches them."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from models.domain.errors import NotFound
from models.domain.runbook import Action, Document, Runbook
from retrieval.index import PassageIndex, SyncReport
from runbooks.loader import Corpus, Problem, Readings, load_corpus

_log = logging.getLogger(__name__)


class CorpusKeeper:
    """Reads the folders and brings the index up to date; what was valid serves on when something is not."""

    def __init__(self, folders: Sequence[Path], postmortems: Path, index: PassageIndex) -> None:
        """`postmortems` is where drafts are written; it is read with the folders."""
        self._folders = (*folders, postmortems)
        self._postmortems = postmortems
        self._index = index
        self._writing = threading.Lock()
        self._readings = Readings()
        self._counting = threading.Lock()
        self._drafts = 0
        self._indexed = 0
        self._corpus = Corpus(documents=(), problems=())

    def sync(self) -> SyncReport:
        """Read the folders anew and index what changed. A problem is logged when it appears."""
        with self._writing:
            return self._sync()

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
        self._postmortems.mkdir(parents=True, exist_ok=True)
        corpus = load_corpus(self._folders, self._readings)
        report = self._index.sync(corpus.documents)
        for problem in corpus.problems:
            if problem not in self._corpus.problems:
                _log.warning("%s", problem)
        self._corpus = corpus
        return report

    def documents(self) -> tuple[Document, ...]:
        """All documents, in the order of the folders."""
        return self._corpus.documents

    def runbooks(self) -> tuple[Runbook, ...]:
        """The catalogues of the documents that have one."""
        return self._corpus.runbooks

    def action(self, runbook: str, action: str) -> Action:
        """An entry of the catalogue. Raises NotFound, with what there is."""
        return find_action(self._corpus.runbooks, runbook, action)

    def problems(self) -> tuple[Problem, ...]:
        """What could not be read, and why."""
        return self._corpus.problems


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
