"""A state folder with sources, and what they are read from: folders, archives, a git repository on this machine."""

import os
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runbooks.loader import Corpus
from service.corpus_sources.documents import read_sources
from service.corpus_sources.source import CorpusSource, Outcome
from service.corpus_sources.store import SourceStore
from service.corpus_sources.syncing import sync_sources

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

ACTING = """---
id: fix-disk
title: Disk is full
actions:
  - id: clean
    title: Clean up
    uses: ledger/write
    with: {name: disk}
    verify:
      - {query: "disk_free", is: "> 0"}
---
# Disk is full
## Mitigation
Remove old logs.
"""


class Sources:
    """Sources of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.store = SourceStore(folder)

    def add(self, name: str, kind: str, place: Path | str, **changes: Any) -> None:
        fields = {"name": name, "kind": kind, "place": str(place), "added_at": NOW, "added_by": "cli:test"}
        self.store.add(CorpusSource.model_validate(fields | changes))

    def sync(self, *names: str) -> list[Outcome]:
        return sync_sources(self.store, lambda: NOW, names)

    def corpus(self) -> Corpus:
        return read_sources(self.store)

    def texts(self) -> dict[str, str]:
        return {document.id: document.text for document in self.corpus().documents}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path / "state" / "corpus")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file below the test's folder, and the folders on its way."""

    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Writes an archive of pages."""

    def made(pages: dict[str, str | bytes], name: str = "export.zip") -> Path:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in pages.items():
                archive.writestr(path, content)
        return tmp_path / name

    return made


class Repository:
    """A bare repository, and a work tree that pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.work = folder / "team.git", folder / "work"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), at=folder)
        self.git("clone", "--quiet", str(self.bare), str(self.work), at=folder)
        self.git("checkout", "--quiet", "-b", "main")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.bare.parent), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
        }  # fmt: skip
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.work, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str | bytes | None]) -> str:
        """Write (None: remove) files, commit and push them; the commit's id."""
        for name, content in files.items():
            path = self.work / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")
        self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def acting() -> str:
    """A runbook with an action."""
    return ACTING
