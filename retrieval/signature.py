"""Incidents that are alike in what moved: metrics and their directions, whatever words were used."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from models.domain.incident import Incident
from models.domain.signal import Direction
from retrieval.words import stems

Moves = tuple[tuple[str, Direction], ...]
"""Metrics that moved, each with its direction; a metric that moved both ways stands twice."""

MOST = 64  # moves of one document: more are no signature, and metadata must stay small
_METRIC = re.compile(r"(?<![\w/.:-])[a-zA-Z:][a-zA-Z0-9:]*_[a-zA-Z0-9_:]*(?![\w/])")
_UP = frozenset(stems("up above rose rises high higher increased grew jumped climbed exceeded doubled spiked"))
_DOWN = frozenset(stems("down below fell falls low lower decreased dropped drops zero vanished disappeared lost"))


def signature_of(incident: Incident) -> Moves:
    """The metrics whose anomalies or texts say which way they moved."""
    found: dict[tuple[str, Direction], None] = {}
    for signal in incident.signals:
        metric = signal.metric or (signal.anomaly.labels.get("__name__") if signal.anomaly else None)
        if metric and signal.direction:
            found[metric, signal.direction] = None
        else:
            found.update(dict.fromkeys(_told(f"{metric or ''} {signal.text}")))
    return tuple(found)[:MOST]


def moves_of(front: Mapping[str, Any], text: str) -> Moves:
    """A postmortem's moves: its front matter's `moved`, a list of {metric, direction}, else what its text tells.

    Entries of another form are passed over.
    """
    stated = front.get("moved")
    if isinstance(stated, list):
        pairs = [(one.get("metric"), one.get("direction")) for one in stated if isinstance(one, dict)]
        return tuple((metric, way) for metric, way in pairs if _is_metric(metric) and way in ("up", "down"))[:MOST]
    return tuple(dict.fromkeys(move for line in text.splitlines() for move in _told(line)))[:MOST]


def _is_metric(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(r"[a-zA-Z_:][\w:.]*", value) is not None


def likeness(one: Moves, other: Moves, rarity: Mapping[str, float]) -> float:
    """How alike two signatures are, in [0, 1]: a weighted Jaccard index (Ioffe 2010) of metrics with directions.

    A metric that both have with opposite directions counts against them, and a rare metric counts more.
    """
    mine, theirs = frozenset(one), frozenset(other)
    union = sum(rarity.get(metric, 1.0) for metric, _ in mine | theirs)
    return sum(rarity.get(metric, 1.0) for metric, _ in mine & theirs) / union if union else 0.0


def rarities(signatures: Sequence[Moves]) -> Mapping[str, float]:
    """How telling each metric is among these signatures: at least about 0.3, 1 for half of them, more for few."""
    held = Counter(metric for moves in signatures for metric in {metric for metric, _ in moves})
    return {metric: math.log2(1 + len(signatures) / count) / math.log2(3) for metric, count in held.items()}


def _told(line: str) -> Moves:
    """Metrics of a line whose words say one direction."""
    metrics = _METRIC.findall(line)
    if not metrics:
        return ()
    words = set(stems(_METRIC.sub(" ", line)))
    up, down = bool(words & _UP), bool(words & _DOWN)
    if up == down:
        return ()
    return tuple((metric, "up" if up else "down") for metric in dict.fromkeys(metrics))
