"""Where the harm of a call graph comes from, by how much of it each node carries.

A callee that carries at least half of its caller's excess explains it; what nothing explains is an origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.localisation.measures import DEFAULT, Bounds, NodeExcess


def rank_by_excess(
    nodes: Mapping[str, NodeExcess], calls: Mapping[str, Sequence[str]], target: str, bounds: Bounds = DEFAULT
) -> list[tuple[str, float]]:
    """Nodes with a score, likeliest origin first; equal scores are ties.

    `calls` names the callees of each node, `target` the node where the harm was seen. Only anomalous nodes that the
    target reaches through anomalous ones have a score above 0: 1 to 2 where nothing explains them, 0 to 1 else, rising
    with the excess.
    """
    called = {name: measured_callees(nodes, calls, name) for name in {target, *nodes}}
    reached = _reached(nodes, called, target)
    most = max((nodes[name].excess for name in reached if name in nodes), default=0.0)
    scores = dict.fromkeys(nodes, 0.0)
    for name in reached:
        own = nodes.get(name)
        if own is None or own.excess <= 0:
            continue
        # A callee that is called only now is a change in its caller, not a cause of its own.
        explained = not own.known or any(
            callee in reached and callee != name and _explains(nodes[callee], own, bounds) for callee in called[name]
        )
        scores[name] = own.excess / most + (0.0 if explained else 1.0)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def measured_callees(nodes: Mapping[str, object], calls: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    """What a node calls, directly or through nodes of which nothing was measured."""
    found: dict[str, None] = {}
    passed, frontier = {name}, [name]
    while frontier:
        callees = [callee for caller in frontier for callee in calls.get(caller, ()) if callee not in passed]
        passed.update(callees)
        found.update(dict.fromkeys(callee for callee in callees if callee in nodes))
        frontier = [callee for callee in dict.fromkeys(callees) if callee not in nodes]
    return tuple(found)


def _reached(nodes: Mapping[str, NodeExcess], called: Mapping[str, Sequence[str]], target: str) -> set[str]:
    reached, frontier = {target}, [target]
    while frontier:
        frontier = [
            callee
            for caller in frontier
            for callee in called[caller]
            if callee not in reached and nodes[callee].anomalous
        ]
        reached.update(frontier)
    return reached


def _explains(callee: NodeExcess, caller: NodeExcess, bounds: Bounds) -> bool:
    return callee.known and callee.anomalous and callee.excess >= bounds.explains * caller.excess
