"""`suture eval culprit`: the origin of each issue of the PetShop data, given the graph.

The truth's node is found at k when it is among the first k; equal scores count by expectation, never by order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.culprits.petshop import Issue, read_petshop
from evals.culprits.published import SCENARIO, beside
from models.localisation.features import OUTSIDE
from models.localisation.measures import DEFAULT, Bounds
from models.localisation.origins import origins

SHOWN = 10


def run_culprit(petshop: Path) -> dict[str, Any]:
    """Rank the nodes of every issue under `petshop`: {n, top1, top3, low_traffic, rows, notes}.

    `low_traffic` has published methods beside it, by the metric of the target.

    Raises BadInput where a file is missing, empty or not of the format.
    """
    issues, notes = read_petshop(petshop)
    rows = [_row(issue) for issue in issues]
    return {
        "n": len(rows),
        "top1": round(sum(row["hit1"] for row in rows) / len(rows), 4),
        "top3": round(sum(row["hit3"] for row in rows) / len(rows), 4),
        **({SCENARIO: methods} if (methods := beside(rows)) else {}),
        "rows": rows,
        "notes": notes,
    }


def _row(issue: Issue) -> dict[str, Any]:
    ranked = localise_issue(issue)
    scores = dict(ranked)
    return {
        "issue": issue.name,
        "metric": issue.metric,
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


def localise_issue(issue: Issue, bounds: Bounds = DEFAULT) -> list[tuple[str, float]]:
    """Nodes and probabilities, likeliest origin first. Sees the metrics and the graph, never the truth.

    The protocol asks for a node: that the cause is outside the graph is left out.
    """
    found = origins(issue.normal, issue.around, issue.calls, issue.target, issue.measure, bounds)
    return [(one.node, one.probability) for one in found if one.node != OUTSIDE]
