"""One symptom, three causes: what active diagnosis is worth. Prints how often the right action comes first.

    python -m evals.diagnosis

Checkouts fail because the shop's pool is exhausted, because the database is dead, or because its disk is slow. The
alert is the same, so are the triggers and the preconditions of the three runbooks in `evals/same_symptom`; only
telemetry tells them apart, and a full pool is also what a dead or slow database leaves behind. The telemetry is
simulated and goes through the source for recorded incidents and the whole of ranking, once with `diagnose` checks and
once with `diagnose.mode` off.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from evals.incidents.format import LabelledIncident
from evals.incidents.past import Past
from models.domain.signal import Sample

RUNBOOKS = Path(__file__).parent / "same_symptom"
CAUSES = {"pool": "restart-shop", "database": "restart-database", "disk": "stop-backup"}
VARIATIONS = 8
BUDGET = "5m"
"""Enough on any machine: what is measured here is what the answers tell, not how soon they come."""
STEP = 15
"""Seconds between samples."""
_SEED = 20260131
_BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Counting(Past):
    """The past as a source, which counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def query(self, expression: str, at: datetime) -> list[Sample]:
        """As of Past."""
        self.asked += 1
        return super().query(expression, at)


def incidents() -> Iterator[LabelledIncident]:
    """Failing checkouts of each cause, with loads, times and noise that vary: the same ones each time."""
    draw = random.Random(_SEED)  # noqa: S311
    for number in range(VARIATIONS):
        for cause, action in CAUSES.items():
            yield _incident(f"checkouts-{cause}-{number}", cause, action, draw)


def run(mode: Literal["active", "off"]) -> dict[str, Any]:
    """How often the right action came first, an equal first counted by its share, and what was asked for it."""
    from service.recommender import build_recommender
    from service.settings import load_settings

    past = Counting()
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="suture-") as folder:
        settings = load_settings(
            state_dir=Path(folder), runbooks=(RUNBOOKS,), diagnose={"mode": mode, "seconds": BUDGET}
        )
        pipeline = build_recommender(settings, past.clock, past=past)
        for row in incidents():
            past.go_to(row)
            before = past.asked
            ranked = pipeline.recommend(row.asked()).candidates
            top = ranked[0].probability
            first = [one.candidate.action for one in ranked if abs(one.probability - top) < 1e-9]
            gold = row.gold.action if row.gold else None
            rows.append(
                {
                    "id": row.id,
                    "gold": gold,
                    "first": first,
                    "probability": round(top, 3),
                    "right": (gold in first) / len(first),
                    "asked": past.asked - before,
                }
            )
    return {
        "n": len(rows),
        "right_first": sum(row["right"] for row in rows) / len(rows),
        "asked": sum(row["asked"] for row in rows) / len(rows),
        "rows": rows,
    }


def _incident(id_: str, cause: str, action: str, draw: random.Random) -> LabelledIncident:
    load = draw.uniform(0.3, 0.8)
    lasts = timedelta(seconds=STEP * draw.randint(4, 12))
    shares = {
        "checkout_errors_share": draw.uniform(0.2, 0.9),
        "db_pool_size": 20.0,
        # Whatever the cause, requests hold their connection while they wait.
        "db_pool_in_use": 20.0 if cause != "database" else float(draw.randint(18, 20)),
        "pg_up": 0.0 if cause == "database" else 1.0,
        "pg_query_seconds": draw.uniform(0.4, 2.0) if cause == "disk" else draw.uniform(0.002, 0.02),
        "disk_await_seconds": draw.uniform(0.2, 1.5) if cause == "disk" else draw.uniform(0.001, 0.03) * (1 + load),
    }
    if cause == "database":
        del shares["pg_query_seconds"]  # nobody answers
    count = int(lasts.total_seconds() // STEP) + 1
    at = [_BEGAN.timestamp() + STEP * place for place in range(count)]
    series = [
        {"labels": {"__name__": name, "service": "shop"}, "at": at, "values": [value] * count}
        for name, value in shares.items()
    ]
    return LabelledIncident.model_validate(
        {
            "id": id_,
            "title": "Checkouts fail",
            "services": ["shop"],
            "started_at": _BEGAN,
            "detected_at": _BEGAN + lasts,
            "signals": [{"kind": "alert", "name": "CheckoutsFailing", "at": _BEGAN, "labels": {"service": "shop"}}],
            "telemetry": {"series": series},
            "gold": {"runbook": None, "remediation": action, "culprit": None} | _named(cause, action),
            "source": "simulated",
            "variant": {"cause": cause},
        }
    )


def _named(cause: str, action: str) -> dict[str, str]:
    names = {"pool": "pool-exhausted", "database": "database-dead", "disk": "disk-slow"}
    return {"runbook": f"checkouts-{names[cause]}", "action": action}


def main() -> None:
    """Both figures as JSON."""
    json.dump({"active": run("active"), "off": run("off")}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
