"""The file of recorded incidents: one line is added for each, so that nothing is lost with what comes after it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from evals.incidents.loading import load_incidents
from evals.sandbox.config import TOPOLOGY
from models.domain.errors import BadInput


def recorded_ids(path: Path) -> set[str]:
    """The ids that the file has already; a last line that a crash cut off is removed.

    Raises BadInput where another line cannot be read, or the file cannot be written.
    """
    if not path.exists():
        return set()
    try:
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            os.truncate(path, len(whole))
    except OSError as error:
        raise BadInput(f"cannot be continued: {error.strerror}", where=str(path)) from error
    return {row.id for row in load_incidents(path)} if whole.strip() else set()


def append(path: Path, row: dict[str, Any]) -> None:
    """Add one incident; when this returns it is on the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def write_topology(path: Path) -> Path:
    """Write beside the file which service depends on which, as SUTURE_TOPOLOGY takes it. Returns where."""
    beside = path.with_name(f"{path.stem}.topology.yaml")
    beside.write_text(yaml.safe_dump(TOPOLOGY, sort_keys=False), encoding="utf-8")
    return beside
