"""Workers and installations of the crash suite, for tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.lives import Workers
from tests.crash.site import Site


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """What workers are forked from."""
    made = Workers()
    yield made
    made.close()


@pytest.fixture
def new_site(workers: Workers) -> Iterator[Callable[..., Site]]:
    """Makes installations, on SQLite or on the database of a URL; nothing of them is left after the test."""
    # Not in pytest's folder: the path of a socket has 107 characters at most.
    folder, made = Path(tempfile.mkdtemp(prefix="suture-crash-")), []

    def make(database_url: str | None = None, **settings: Any) -> Site:
        made.append(Site(folder / f"site-{len(made)}", workers, database_url, **settings))
        return made[-1]

    yield make
    for site in made:
        site.close()
    shutil.rmtree(folder)
