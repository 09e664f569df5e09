"""What a replay tells: each incident, and the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any, get_args

from evals.replay.flow import Fate, Shadowed
from evals.statistics import mean_interval


def report(shadowed: Sequence[Shadowed]) -> dict[str, Any]:
    """The whole result as JSON has it."""
    fates = Counter(one.fate for one in shadowed)
    alone = [one for one in shadowed if one.fate == "acted"]
    known = [float(one.right) for one in alone if one.right is not None]
    asked = [one for one in shadowed if one.fate == "asked"]
    silent = [one for one in shadowed if one.fate == "abstained"]
    return {
        "n": len(shadowed),
        "would_have": {fate: fates[fate] for fate in get_args(Fate)},
        "acted": {
            **_rights(alone),
            "precision": round(sum(known) / len(known), 4) if known else None,
            "interval": [round(bound, 4) for bound in mean_interval(known)] if known else None,
        },
        "asked": _rights(asked),
        "abstained": _rights(silent),
        "time_saved": _saved(alone),
        "changes": [{"incident": one.case.id, "change": one.change} for one in shadowed if one.change],
        "rows": [_row(one) for one in shadowed],
    }


def headline(told: dict[str, Any]) -> str:
    """The totals in a few sentences."""
    would, alone = told["would_have"], told["acted"]
    words = [f"Of {told['n']} incidents, Suture would have acted by itself in {would['acted']}"]
    if alone["precision"] is not None:
        low, high = alone["interval"]
        words[0] += f": right in {alone['right']}, wrong in {alone['wrong']}"
        words[0] += f" (precision {alone['precision']:.2f}, 95 % interval {low:.2f} to {high:.2f})"
    if alone["unknown"]:
        words[0] += f"; of {alone['unknown']} it is not known what was right"
    others = [
        (would["asked"], "asked people in"),
        (would["suggested"], "only told people in"),
        (would["forbidden"], "been forbidden in"),
        (would["held"], "not started in"),
        (would["abstained"], "recommended nothing in"),
    ]
    told_others = [f"{what} {n}" for n, what in others if n]
    if told_others:
        words.append(f"It would have {', '.join(told_others)}")
    saved = told["time_saved"]
    if saved["incidents"]:
        took = _minutes(saved["seconds"])
        words.append(f"People took {took} in all for {saved['incidents']} that it would have begun to mend at once")
    return ". ".join(words) + "."


def _rights(some: Sequence[Shadowed]) -> dict[str, int]:
    return {
        "right": sum(one.right is True for one in some),
        "wrong": sum(one.right is False for one in some),
        "unknown": sum(one.right is None for one in some),
    }


def _saved(alone: Sequence[Shadowed]) -> dict[str, Any]:
    """How long people took, from the recommendation on, for what would have been rightly done at once."""
    spans = [one.case.lasted.total_seconds() for one in alone if one.right and one.case.lasted is not None]
    return {"incidents": len(spans), "seconds": sum(spans), "median_seconds": median(spans) if spans else None}


def _row(one: Shadowed) -> dict[str, Any]:
    candidate = one.ranked.candidate if one.ranked else None
    decision = one.decision
    was = one.case.was
    lasted = one.case.lasted
    return {
        "incident": one.case.id,
        "title": one.case.incident.title,
        "at": one.case.moment.isoformat(),
        "environment": one.case.incident.environment,
        "would_have": one.fate,
        "action": f"{candidate.runbook}/{candidate.action}" if candidate else None,
        "target": candidate.target if candidate else None,
        "probability": round(one.ranked.probability, 4) if one.ranked else None,
        "reason": one.reason,
        "policies": list(decision.policies) if decision else [],
        "approver_role": decision.approver_role if decision else None,
        "approvers": list(decision.approvers) if decision else [],
        "approvals_needed": decision.approvals_needed if decision else 0,
        "right": one.right,
        "seconds_until_resolved": lasted.total_seconds() if lasted else None,
        "change": one.change,
        "was": {"verdict": str(was.verdict), "reason": was.reason} if was else None,
    }


def _minutes(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"
