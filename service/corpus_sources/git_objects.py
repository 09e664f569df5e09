"""Reads files out of a git repository without checking anything out."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from service.corpus_sources.source import SourceFailed

_SECONDS = 60.0
"""For one file of a repository on this machine's own disk."""


class Blobs:
    """One `git cat-file`, asked for file after file; a context manager that ends it."""

    def __init__(self, repository: Path, environment: Mapping[str, str], options: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            ["git", *options, "cat-file", "--batch"],  # noqa: S607  (the one of the PATH, as for the other commands)
            cwd=repository,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Blobs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, blob: str) -> bytes:
        """The content of a blob by its id. Raises SourceFailed where the repository does not have it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Timer(_SECONDS, self._process.kill)
        late.start()
        try:
            self._process.stdin.write(blob.encode() + b"\n")
            self._process.stdin.flush()
            header = self._process.stdout.readline().split()
            size = int(header[2]) if len(header) == 3 and header[1] == b"blob" else -1
            data = self._process.stdout.read(size + 1) if size >= 0 else b""
        except BrokenPipeError:
            size, data = -1, b""
        finally:
            late.cancel()
        if size < 0 or len(data) != size + 1:
            raise SourceFailed(f"the repository lacks the file {blob}; it may be damaged")
        return data[:-1]
