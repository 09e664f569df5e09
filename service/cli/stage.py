"""What `suture demo` and `suture simulate` have in common: a folder to work in, a story, an orderly end."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from evals.sandbox.episode import Episode
    from service.cli.story import Story


@contextmanager
def told(folder: Path | None, prefix: str, *, as_json: bool) -> Iterator[tuple[Story, Path]]:
    """A story, and the folder to work in. One that nobody named is temporary, and removed but after an error."""
    from rich.console import Console

    from service.cli.story import Story

    # A termination ends sandbox and service in the same orderly way as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story = Story(Console(stderr=as_json, highlight=False))
    place = folder or Path(tempfile.mkdtemp(prefix=prefix))
    keep = folder is not None
    try:
        yield story, place
    except KeyboardInterrupt:
        story.wait_no_more()
        typer.echo("Interrupted; every process of the sandbox was ended.", err=True)
        raise typer.Exit(130) from None
    except Exception:
        keep = True
        raise
    finally:
        story.wait_no_more()
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


def facts(episode: Episode) -> dict[str, Any]:
    """An episode as JSON, its times by what is timed."""
    from service.cli.story import times

    return {**{name: value for name, value in asdict(episode).items() if name != "seconds"}, "seconds": times(episode)}
