"""The folder of an installation's state."""

from __future__ import annotations

import os
from pathlib import Path

from models.domain.errors import BadInput
from service.settings import Settings


def samples_url(settings: Settings) -> str:
    """Where recent samples are kept: with SQLite in a file of their own, since a scrape's bulk write must not make an
    approval wait.
    """
    if settings.database_url is None:
        return f"sqlite:///{(settings.state_dir / 'samples.db').resolve()}"
    return settings.database


def make_state_folder(folder: Path) -> None:
    """Make the folder where it is missing, for its owner alone. Raises BadInput where it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(_words(folder, "a file is in its place")) from error
    except OSError as error:
        raise BadInput(_words(folder, f"it cannot be made: {error.strerror}")) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(_words(folder, "this user may not write there"))


def check_state_folder(folder: Path) -> None:
    """Raises BadInput where `make_state_folder` would; changes nothing."""
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not nearest.is_dir():
        raise BadInput(_words(folder, f"{nearest} is a file"))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(_words(folder, f"this user may not write in {nearest}"))


def _words(folder: Path, problem: str) -> str:
    return f"{folder} cannot hold the state: {problem}; choose another folder with --data or SUTURE_STATE_DIR"
