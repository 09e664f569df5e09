"""What the commands of `suture corpus` open: the settings and the index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import BadInput

if TYPE_CHECKING:
    from retrieval.index import PassageIndex
    from service.settings import Settings


def quiet_settings(data: Path | None) -> Settings:
    """The settings; of the log only errors, since these commands print problems themselves."""
    from service.settings import load_settings
    from service.telemetry import configure_logging

    settings = load_settings(state_dir=data)
    configure_logging("error", settings.log_format)
    return settings


@contextmanager
def open_index(settings: Settings, *, create: bool = False) -> Iterator[PassageIndex]:
    """The installation's index. Raises BadInput where there is none and `create` is not set."""
    from retrieval.index import PassageIndex
    from service.corpus import embedder_of

    folder = settings.state_dir / "index"
    if not create and not folder.is_dir():
        mend = "`suture corpus sync` makes it; or name another folder with --data"
        raise BadInput(f"{settings.state_dir} holds no index; {mend}")
    index = PassageIndex(folder, embedder_of(settings))
    try:
        yield index
    finally:
        index.close()
