"""Loads adapters from entry points: the built-in ones and those of third-party packages alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from models.domain.errors import BadInput
from runbooks.binding import VerbInputs
from service.checks import ReadsSql, SqlReader
from service.ports import Context, Executor, ExecutorClass
from service.settings import Adapter

SOURCES = "suture.sources"
EXECUTORS = "suture.executors"
ITSM = "suture.itsm"
EMBEDDERS = "suture.embedders"
DETECTORS = "suture.detectors"


def build(group: str, adapter: Adapter, context: Context) -> Any:
    """The adapter that a setting names. Raises BadInput where there is none of that name, or it refuses its config."""
    return _load(group, adapter.name)(adapter.config, context)


def build_executors(sections: Mapping[str, Mapping[str, Any]], context: Context) -> dict[str, Executor]:
    """The executors that have a section in the settings, by name."""
    return {name: _load(EXECUTORS, name).build(config, context) for name, config in sections.items()}


def sql_reader(executors: Mapping[str, Executor]) -> SqlReader | None:
    """What answers `sql` checks: the first executor that can. None where none of them can."""
    return next((executor.sql_reader for executor in executors.values() if isinstance(executor, ReadsSql)), None)


def verb_catalogue(executors: Mapping[str, Executor] | None = None) -> dict[str, VerbInputs]:
    """`executor/verb` to what binding needs: of the given executors, else of all that are installed, unconfigured."""
    offered: Mapping[str, Executor | ExecutorClass] = (
        executors if executors is not None else {point.name: _loaded(point) for point in entry_points(group=EXECUTORS)}
    )
    return {
        f"{name}/{verb.name}": VerbInputs(inputs=verb.inputs, target=partial(executor.target, verb.name))
        for name, executor in sorted(offered.items())
        for verb in executor.verbs.values()
    }


def _load(group: str, name: str) -> Any:
    points: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=group)}
    if name not in points:
        kind = group.removeprefix("suture.")
        raise BadInput(f"there is no {name!r} among the {kind}; installed are: {', '.join(sorted(points)) or 'none'}")
    return _loaded(points[name])


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        package = point.dist.name if point.dist else point.module
        kind = point.group.removeprefix("suture.")
        raise BadInput(
            f"{point.name!r} of the {kind}, from the package {package}, cannot be loaded: {error}"
        ) from error
