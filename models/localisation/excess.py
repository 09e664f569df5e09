"""Where the harm of a call graph comes from, by how much of it each node carries.

The excess of a node is what it does worse than in normal times, summed over its requests: seconds of latency, failed
requests. Summed over requests, the excess of a callee can be compared with that of its caller: a callee that carries at
least half of its caller's excess explains it. Standardised departures cannot be compared so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EXPLAINS = 0.5
"""Share of a caller's excess that a callee must carry to explain it."""


@dataclass(frozen=True)
class NodeExcess:
    """One node's excess, in one unit for all nodes."""

    excess: float
    noise: float
    """What the excess may be in normal times; above it, the node is anomalous."""
    known: bool = True
    """Whether it was seen in normal times. A new one cannot explain its caller: all that it does is excess."""

    @property
    def anomalous(self) -> bool:
        """Whether the excess is more than noise."""
        return self.excess > self.noise


def rank_by_excess(
    nodes: Mapping[str, NodeExcess], calls: Mapping[str, Sequence[str]], target: str
) -> list[tuple[str, float]]:
    """Nodes with a score, likeliest origin first; equal scores are ties.

    `calls` names the callees of each node, `target` the node where the harm was seen. Only anomalous nodes that the
    target reaches through anomalous ones have a score above 0: 1 to 2 where nothing explains them, 0 to 1 else, rising
    with the excess.
    """
    reached = _reached(nodes, calls, target)
    most = max((nodes[name].excess for name in reached if name in nodes), default=0.0)
    scores = dict.fromkeys(nodes, 0.0)
    for name in reached:
        own = nodes.get(name)
        if own is None or own.excess <= 0:
            continue
        # A callee that is called only now is a change in its caller, not a cause of its own.
        explained = not own.known or any(
            callee in reached and callee != name and _explains(nodes[callee], own) for callee in calls.get(name, ())
        )
        scores[name] = own.excess / most + (0.0 if explained else 1.0)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _reached(nodes: Mapping[str, NodeExcess], calls: Mapping[str, Sequence[str]], target: str) -> set[str]:
    reached, frontier = {target}, [target]
    while frontier:
        frontier = [
            callee
            for caller in frontier
            for callee in calls.get(caller, ())
            if callee not in reached and callee in nodes and nodes[callee].anomalous
        ]
        reached.update(frontier)
    return reached


def _explains(callee: NodeExcess, caller: NodeExcess) -> bool:
    return callee.known and callee.anomalous and callee.excess >= EXPLAINS * caller.excess
