"""An alert storm through the way in: correlated, and in the database before it is acknowledged."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import yaml

from evals.bench.figures import Figure, timed
from models.domain.base import Severity, utc_now
from models.domain.signal import Signal, SignalKind

_ALERTS, _SERVICES, _POSTS = 2000, 60, 40


def bench_storm(folder: Path) -> list[Figure]:
    """2,000 alerts of 60 services over one cause, in one POST and in 40; each way one incident, else it fails."""
    at = utc_now()
    return [
        Figure(f"storm of {_ALERTS:,} alerts, {posts} POST{'s' if posts > 1 else ''}", seconds, "s", note=note)
        for posts in (1, _POSTS)
        for seconds, note in [_measured(folder / str(posts), posts, at)]
    ]


def _measured(folder: Path, posts: int, at: datetime) -> tuple[float, str]:
    from service.app import build_parts
    from service.settings import load_settings

    folder.mkdir()
    topology = folder / "topology.yaml"
    services = {f"s{n}": {"depends_on": [f"s{(n - 1) // 3}"] if n else []} for n in range(_SERVICES)}
    topology.write_text(yaml.safe_dump({"services": services}))
    parts = build_parts(load_settings(state_dir=folder, topology=topology), lambda: at)
    signals = [_alert(number, at + timedelta(milliseconds=10 * (number - _ALERTS))) for number in range(_ALERTS)]
    size = _ALERTS // posts
    try:
        taken = timed(
            [partial(parts.intake.signals, signals[begin : begin + size]) for begin in range(0, _ALERTS, size)]
        )
        [_] = parts.incidents.page()
    finally:
        parts.close()
    return sum(taken), f"1 incident; the slowest POST took {max(taken) * 1000:.0f} ms"


def _alert(number: int, at: datetime) -> Signal:
    labels = {"service": f"s{number % _SERVICES}", "pod": str(number)}
    return Signal(kind=SignalKind.ALERT, name="HighLatency", at=at, severity=Severity.CRITICAL, labels=labels)
