"""Figures of published methods on the low-traffic issues of PetShop, to stand beside ours.

Methods and data: Hardt et al., "The PetShop Dataset: Finding Causes of Performance Issues across Microservices"
(CLeaR 2024). The figures are of the authors' implementations, run anew on the 14 latency and 12 availability issues.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SCENARIO = "low_traffic"
PUBLISHED = {
    "traversal": {"latency": (0.57, 0.57), "availability": (0.68, 1.0)},
    "ranked_correlation": {"latency": (0.43, 0.57), "availability": (0.75, 0.92)},
    "circa": {"latency": (0.36, 0.86), "availability": (0.42, 1.0)},
    "rcd": {"latency": (0.07, 0.2), "availability": (0.6, 0.7)},
    "random_walk": {"latency": (0.0, 0.14), "availability": (0.0, 0.0)},
    "always_the_commonest": {"latency": (0.29, 0.86), "availability": (0.33, 0.83)},
}
"""Top-1 and top-3 by the target's metric."""


def beside(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """By metric and method, {top1, top3}; ours from `rows`. Empty where they have no issue of that scenario."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for metric in ("latency", "availability"):
        ours = [row for row in rows if row["issue"].split("/")[0] == SCENARIO and row["metric"] == metric]
        if ours:
            mean = {f"top{k}": round(sum(row[f"hit{k}"] for row in ours) / len(ours), 4) for k in (1, 3)}
            others = {name: dict(zip(("top1", "top3"), of[metric], strict=True)) for name, of in PUBLISHED.items()}
            found[metric] = {"suture": mean, **others}
    return found
