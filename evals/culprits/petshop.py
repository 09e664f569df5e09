"""Reads the PetShop data: Hardt et al., "The PetShop Dataset" (CLeaR 2024).

https://github.com/amazon-science/petshop-root-cause-analysis. A scenario's folder holds `graph.csv` (row calls column),
`noissue/metrics.csv` and `train/` and `test/` issues.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.errors import BadInput
from models.localisation.measures import Measure, NodeSeries

if TYPE_CHECKING:
    import pandas as pd

STAND_IN = {"temporal_traffic1": "low_traffic"}
"""A scenario without normal period, and the one whose normal period stands in: its own file could not be had."""

Series = Mapping[str, NodeSeries]


@dataclass(frozen=True)
class Issue:
    """One labelled issue, with what was measured of each node in normal times and around it."""

    name: str
    target: str
    metric: str
    gold: str
    fault: str
    """What was broken, and how: faults that differ in strength alone are one."""
    normal: Series
    around: Series
    calls: Mapping[str, tuple[str, ...]]

    @property
    def measure(self) -> Measure:
        """What is worse at the target."""
        return Measure.FAILED if self.metric == "availability" else Measure.LATENCY


def read_petshop(petshop: Path) -> tuple[list[Issue], list[str]]:
    """All issues, and notes on what stands in for what. Raises BadInput where a file is missing, empty or malformed."""
    scenarios = sorted(folder for folder in petshop.glob("*") if folder.is_dir())
    if not scenarios:
        raise BadInput("there is no scenario folder in it", where=str(petshop))
    issues: list[Issue] = []
    notes: list[str] = []
    for scenario in scenarios:
        normal_of = STAND_IN.get(scenario.name, scenario.name) if not (scenario / "noissue").is_dir() else scenario.name
        if normal_of != scenario.name:
            notes.append(f"{scenario.name} has no normal period: that of {normal_of} stands in")
        normal = read_metrics(petshop / normal_of / "noissue" / "metrics.csv")
        calls = read_graph(scenario / "graph.csv")
        folders = sorted(
            folder for part in ("train", "test") for folder in scenario.glob(f"{part}/*") if folder.is_dir()
        )
        if not folders:
            raise BadInput("it holds no issue (train/<issue>, test/<issue>)", where=str(scenario))
        issues += [_read_issue(folder, petshop, normal, calls) for folder in folders]
    return issues, notes


def read_metrics(path: Path) -> dict[str, NodeSeries]:
    """What a table of metrics says of each node; its header has the three lines node, metric, statistic."""
    import pandas as pd  # slow to import

    _require(path)
    try:
        table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
    except (ValueError, IndexError) as error:
        raise BadInput(f"not a table with a header of three lines: {error}", where=str(path)) from error
    if table.empty:
        raise BadInput("it holds no row of measurements", where=str(path))
    try:
        nodes = sorted({str(node) for node in table.columns.get_level_values(0)})
        return {node: _series(table, node) for node in nodes}
    except ValueError as error:
        raise BadInput(f"a measurement is not a number: {error}", where=str(path)) from error


def _series(table: pd.DataFrame, node: str) -> NodeSeries:
    def column(metric: str, statistic: str) -> Any:
        key = (node, metric, statistic)
        return table[key].to_numpy(dtype=float) if key in table else None

    available = column("availability", "Average")
    return NodeSeries(
        requests=column("requests", "Sum"),
        latency=column("latency", "Average"),
        failed=None if available is None else 1.0 - available / 100.0,
    )


def read_graph(path: Path) -> dict[str, tuple[str, ...]]:
    """The callees of each node, from a square table in which the row calls the column."""
    import pandas as pd

    _require(path)
    table = pd.read_csv(path, index_col=0)
    if table.empty:
        raise BadInput("it holds no node", where=str(path))
    return {str(caller): tuple(map(str, table.columns[row.to_numpy() > 0])) for caller, row in table.iterrows()}


def _require(path: Path) -> None:
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path))
    if path.stat().st_size == 0:
        raise BadInput("the file is empty", where=str(path))


def _read_issue(folder: Path, root: Path, normal: Series, calls: Mapping[str, tuple[str, ...]]) -> Issue:
    path = folder / "target.json"
    _require(path)
    try:
        label = json.loads(path.read_text())
        target, gold = label["target"], label["root_cause"]["node"]
        node, metric = target["node"], target["metric"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"not an issue's label: {error!r}", where=str(path)) from error
    return Issue(
        name=folder.relative_to(root).as_posix(),
        target=node,
        metric=metric,
        gold=gold,
        fault=f"{gold} {metric}",
        normal=normal,
        around=read_metrics(folder / "metrics.csv"),
        calls=calls,
    )
