"""Reads the topology file."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from models.domain.topology import Topology
from service.yaml_input import read_yaml


def load_topology(path: Path | None) -> Topology:
    """The topology of the YAML file; an empty one without a file. Raises BadInput with file and line."""
    if path is None:
        return Topology()
    file = read_yaml(path)
    try:
        return Topology.model_validate(file.values)
    except ValidationError as error:
        raise file.bad_input(error) from error
