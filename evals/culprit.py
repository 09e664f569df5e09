"""`suture eval culprit`: the origin of each issue of the PetShop data, given the graph.

Data and protocol: Hardt et al., "The PetShop Dataset" (CLeaR 2024),
https://github.com/amazon-science/petshop-root-cause-analysis.
A scenario's folder holds `graph.csv` (row calls column), `noissue/metrics.csv` and `train/` and `test/` issues. The
truth's node is found at k when it is among the first k; equal scores count by expectation, never by order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.errors import BadInput
from models.localisation.excess import NodeExcess, rank_by_excess

if TYPE_CHECKING:
    import pandas as pd

STAND_IN = {"temporal_traffic1": "low_traffic"}
"""A scenario without normal period, and the one whose normal period stands in: its own file could not be had."""
NOISE = 3.0
"""A node is anomalous when its excess is this many standard deviations of normal windows."""
LEAST_FAILED = 1.0
"""Failed requests in the issue's window below which nothing is anomalous: most nodes never fail in normal times."""
SHOWN = 10


@dataclass(frozen=True)
class Issue:
    """One labelled issue with the tables around it. Columns of a table are (node, metric, statistic)."""

    name: str
    target: str
    metric: str
    gold: str
    normal: pd.DataFrame
    around: pd.DataFrame
    calls: Mapping[str, tuple[str, ...]]


def run_culprit(petshop: Path) -> dict[str, Any]:
    """Rank the nodes of every issue under `petshop`: {n, top1, top3, rows, notes}.

    Raises BadInput where a file is missing, empty or not of the format.
    """
    scenarios = sorted(folder for folder in petshop.glob("*") if folder.is_dir())
    if not scenarios:
        raise BadInput("there is no scenario folder in it", where=str(petshop))
    rows: list[dict[str, Any]] = []
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
        rows += [_row(_read_issue(folder, petshop, normal, calls)) for folder in folders]
    return {
        "n": len(rows),
        "top1": round(sum(row["hit1"] for row in rows) / len(rows), 4),
        "top3": round(sum(row["hit3"] for row in rows) / len(rows), 4),
        "rows": rows,
        "notes": notes,
    }


def read_metrics(path: Path) -> pd.DataFrame:
    """A table of metrics by unix seconds; its header has the three lines node, metric, statistic."""
    import pandas as pd  # slow to import

    _require(path)
    try:
        table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
    except (ValueError, IndexError) as error:
        raise BadInput(f"not a table with a header of three lines: {error}", where=str(path)) from error
    if table.empty:
        raise BadInput("it holds no row of measurements", where=str(path))
    return table


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


def _read_issue(folder: Path, root: Path, normal: pd.DataFrame, calls: Mapping[str, tuple[str, ...]]) -> Issue:
    path = folder / "target.json"
    _require(path)
    try:
        label = json.loads(path.read_text())
        target, gold = label["target"], label["root_cause"]["node"]
        return Issue(
            name=folder.relative_to(root).as_posix(),
            target=target["node"],
            metric=target["metric"],
            gold=gold,
            normal=normal,
            around=read_metrics(folder / "metrics.csv"),
            calls=calls,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"not an issue's label: {error!r}", where=str(path)) from error


def _row(issue: Issue) -> dict[str, Any]:
    ranked = localise_issue(issue)
    scores = dict(ranked)
    return {
        "issue": issue.name,
        "gold": issue.gold,
        "hit1": hit_at(scores, issue.gold, 1),
        "hit3": hit_at(scores, issue.gold, 3),
        "ranked": [
            {"node": node, "metric": issue.metric, "score": round(score, 4)}
            for node, score in ranked[:SHOWN]
            if score > 0
        ],
    }


def hit_at(scores: Mapping[str, float], gold: str, k: int) -> float:
    """The chance that `gold` is among the first k when equal scores are put in random order; 0 for a score of 0."""
    own = scores.get(gold, 0.0)
    if own <= 0:
        return 0.0
    above = sum(score > own for score in scores.values())
    equal = sum(score == own for score in scores.values())
    return min(max((k - above) / equal, 0.0), 1.0)


def localise_issue(issue: Issue) -> list[tuple[str, float]]:
    """Nodes and scores, likeliest origin first. Sees the metrics and the graph, never the truth."""
    nodes = {
        str(node): found
        for node in issue.around.columns.get_level_values(0).unique()
        if (found := node_excess(issue, str(node))) is not None
    }
    return rank_by_excess(nodes, issue.calls, issue.target)


def node_excess(issue: Issue, node: str) -> NodeExcess | None:
    """Seconds of latency, or failed requests, above normal, over the issue's rows; None where it was not measured."""
    column, requests = (node, issue.metric, "Average"), (node, "requests", "Sum")
    if column not in issue.around or requests not in issue.around:
        return None
    weight = issue.around[requests].fillna(0.0)
    if issue.metric == "availability":
        per_request = 1.0 - issue.around[column] / 100.0
        normal = 1.0 - issue.normal[column].dropna() / 100.0 if column in issue.normal else None
    else:
        per_request = issue.around[column]
        normal = issue.normal[column].dropna() if column in issue.normal else None
    known = normal is not None and len(normal) > 1
    usual = float(normal.mean()) if normal is not None and known else 0.0
    spread = float(normal.std()) if normal is not None and known else 0.0
    total = float(weight.sum())
    excess = float(((per_request.fillna(usual) - usual) * weight).sum())
    # Rows of a window vary independently: their mean varies by the root of their number less.
    noise = NOISE * spread * total / max(len(weight), 1) ** 0.5
    return NodeExcess(
        excess=excess, noise=max(noise, LEAST_FAILED if issue.metric == "availability" else 0.0), known=known
    )
