"""How commands read labelled incidents: in our format, or an export with its map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput

if TYPE_CHECKING:
    from evals.incidents.format import LabelledIncident
    from service.settings import Settings

MapFile = Annotated[
    Path | None,
    typer.Option("--map", metavar="FILE", help="FILE is an export (CSV or JSONL); this says what its columns are."),
]
Books = Annotated[
    list[Path] | None,
    typer.Option(metavar="DIR", help="Folder of runbooks, in place of the configured ones; repeat it for more."),
]


def labelled_rows(file: Path, map_file: Path | None) -> tuple[LabelledIncident, ...]:
    """The incidents; what an export leaves out is said on standard error. Raises BadInput with file and line."""
    from service.cli.output import note

    if map_file is None:
        from evals.incidents.loading import load_incidents

        if file.suffix.lower() == ".csv":
            raise BadInput("an export needs a map of its columns: --map FILE (docs/evaluation.md)", where=str(file))
        return load_incidents(file)
    from evals.exports.mapping import load_map, map_export

    mapped = map_export(file, load_map(map_file))
    if mapped.others:
        note(f"{mapped.others} rows left out: `only` in the map does not hold for them")
    if mapped.unknown:
        shown = ", ".join(mapped.unknown[:5]) + (", …" if len(mapped.unknown) > 5 else "")
        note(f"{len(mapped.unknown)} rows left out: the export does not tell what was right ({shown})")
    return mapped.rows


def settings_for(file: Path, runbooks: list[Path] | None, model: str | None, state: Path) -> Settings:
    """The settings, with other runbook folders and model; `state` is a throw-away folder: nothing is kept.

    Where no topology is configured, NAME.topology.yaml beside NAME.jsonl is used, as it was recorded. Raises BadInput.
    """
    from evals.incidents.loading import topology_beside
    from service.cli.output import note
    from service.settings import load_settings
    from service.telemetry import configure_logging

    for folder in runbooks or ():
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder", where="--runbooks")
    settings = load_settings(runbooks=tuple(runbooks) if runbooks else None, model=model, state_dir=state)
    configure_logging("warning", settings.log_format)
    beside = topology_beside(file)
    if settings.topology is None and beside is not None:
        note(f"which service depends on which is taken from {beside}")
        settings = settings.model_copy(update={"topology": beside})
    return settings.model_copy(update={"database_url": None})
