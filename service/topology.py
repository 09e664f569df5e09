"""Reads the topology file."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from models.domain.errors import BadInput
from models.domain.topology import Topology


def load_topology(path: Path | None) -> Topology:
    """The topology of the YAML file; an empty one without a file. Raises BadInput with file and line or path."""
    if path is None:
        return Topology()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"the topology file cannot be read: {error.strerror}", where=str(path)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"not valid YAML: {getattr(error, 'problem', error)}", where=where) from error
    try:
        return Topology.model_validate(content or {})
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{spot}: {first['msg']}", where=str(path)) from error
