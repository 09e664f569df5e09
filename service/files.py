"""Files that several processes may make at once."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_once(path: Path, text: str) -> str:
    """What the file holds; `text`, with mode 0600, where there was none.

    Linked into place: of processes that start together one wins, and none reads half of it.
    """
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(text)
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text().strip()
