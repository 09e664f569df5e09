"""`suture eval culprit --simulate`: localisation on simulated faults over random service graphs.

None of these graphs took part in learning the weights. A fault is found at k when a right node, or outside for a cause
outside the graph, is among the first k hypotheses; ties by expectation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evals.calibration import calibration_error
from evals.culprits.baselines import BASELINES
from evals.culprits.cases import Case, make_cases
from models.localisation.features import OUTSIDE
from models.localisation.origins import origins

GRAPHS, EACH = 20, 2


def run_simulated(graphs: int = GRAPHS, each: int = EACH) -> dict[str, Any]:
    """{n, top1, top3, ece, by_kind, baselines, several, rows}; the same for the same arguments."""
    cases = list(make_cases(range(graphs), each))
    rows = [_row(case) for case in cases]
    pairs = list(make_cases(range(graphs), 1, together=2))
    kinds = list(dict.fromkeys(case.kind for case in cases))
    return {
        "n": len(rows),
        "graphs": graphs,
        **_shares(rows),
        "ece": round(calibration_error([(row["probability"], row["hit1"]) for row in rows]), 4),
        "by_kind": {
            kind: {"n": len(inside), **_shares(inside)}
            for kind in kinds
            if (inside := [row for row in rows if row["kind"] == kind])
        },
        "baselines": {
            name: _shares([_hits(method(case), case) for case in cases]) for name, method in BASELINES.items()
        },
        "several": {"n": len(pairs), **_several(pairs)},
        "rows": rows,
    }


def probabilities(case: Case) -> dict[str, float]:
    """The product's answer."""
    found = origins(case.normal, case.around, case.calls, case.target, case.measure)
    return {one.node: one.probability for one in found}


def found_at(scores: Mapping[str, float], right: frozenset[str], k: int) -> float:
    """The chance that one of the right is among the first k, equal scores in random order; none for a score of 0."""
    own = max((scores.get(name, 0.0) for name in right or {OUTSIDE}), default=0.0)
    if own <= 0:
        return 0.0
    above, equal = sum(one > own for one in scores.values()), sum(one == own for one in scores.values())
    return min(max((k - above) / equal, 0.0), 1.0)


def _hits(scores: Mapping[str, float], case: Case) -> dict[str, Any]:
    return {f"hit{k}": found_at(scores, case.truths[0], k) for k in (1, 3)}


def _row(case: Case) -> dict[str, Any]:
    scores = probabilities(case)
    ranked = sorted(scores, key=lambda name: (-scores[name], name))[:3]
    return {
        "kind": case.kind,
        "gold": sorted(case.truths[0]),
        **_hits(scores, case),
        "probability": max(scores.values()),
        "ranked": [{"node": name or "(outside)", "probability": round(scores[name], 4)} for name in ranked],
    }


def _shares(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {f"top{k}": round(float(np.mean([row[f"hit{k}"] for row in rows])), 4) for k in (1, 3)} if rows else {}


def _several(pairs: Sequence[Case]) -> dict[str, float]:
    """Of two causes at once: how often the first named is one of them, and the share of both among the first three."""
    if not pairs:
        return {}
    scores = [probabilities(case) for case in pairs]
    first = [max(found_at(one, truth, 1) for truth in case.truths) for one, case in zip(scores, pairs, strict=True)]
    both = [found_at(one, truth, 3) for one, case in zip(scores, pairs, strict=True) for truth in case.truths]
    return {"top1_any": round(float(np.mean(first)), 4), "recall3": round(float(np.mean(both)), 4)}
