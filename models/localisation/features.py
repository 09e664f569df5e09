"""What is known of each hypothesis of where the harm of a call graph began: numbers that say for or against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from models.localisation.excess import measured_callees, rank_by_excess
from models.localisation.harms import Harm
from models.localisation.measures import Measure, Row

OUTSIDE = ""
"""The name of the hypothesis that the cause is in none of the nodes: users, or something that the graph has not."""

FEATURES = (
    "score",
    "first",
    "anomalous",
    "share",
    "unexplained",
    "unexplained by all",
    "surprise",
    "other anomalous",
    "other unexplained",
    "other surprise",
    "both unexplained",
    "reached",
    "explained across",
    "flooded",
    "starved",
    "calls more",
    "calls less",
    "new",
    "not measured",
    "callee not measured",
    "outside",
    "outside: more users",
    "outside: spread",
    "outside: more users, spread",
)


class _Graph:
    """The harms with the calls between them, and what the features ask of both."""

    def __init__(
        self, harms: Mapping[str, Harm], calls: Mapping[str, Sequence[str]], target: str, measure: Measure
    ) -> None:
        self.harms, self.calls, self.target = harms, calls, target
        self.names = list(dict.fromkeys([target, *harms, *calls, *(one for each in calls.values() for one in each)]))
        self.callers: dict[str, list[str]] = {}
        for caller, callees in calls.items():
            for callee in callees:
                self.callers.setdefault(callee, []).append(caller)
        self.measure = measure
        self.other = Measure.FAILED if measure is Measure.LATENCY else Measure.LATENCY
        self.below = {name: measured_callees(harms, calls, name) for name in self.names}
        self.reached = self._reached()
        self.most = {one: max((self.size(name, one) for name in self.reached), default=0.0) for one in Measure}
        self.unknown = {
            name: sum(measure not in self.harm(callee).excess for callee in calls.get(name, ())) for name in self.names
        }
        own = {name: harm.excess[measure] for name, harm in harms.items() if measure in harm.excess}
        self.scores = dict(rank_by_excess(own, calls, target))

    def harm(self, name: str) -> Harm:
        return self.harms.get(name, _NOTHING)

    def size(self, name: str, measure: Measure) -> float:
        one = self.harm(name).excess.get(measure)
        return max(one.excess, 0.0) if one is not None and one.anomalous else 0.0

    def _reached(self) -> frozenset[str]:
        found, frontier = {self.target}, [self.target]
        while frontier:
            frontier = [
                callee
                for caller in frontier
                for callee in self.below[caller]
                if callee not in found and self.harm(callee).anomalous()
            ]
            found.update(frontier)
        return frozenset(found)

    def share(self, name: str, measure: Measure) -> float:
        """Logarithm of its excess over the largest that was reached, -5 to 0."""
        own, most = self.size(name, measure), self.most[measure]
        return max(math.log(own / most), -5.0) if own > 0 and most > 0 else -5.0

    def surprise(self, name: str, measure: Measure) -> float:
        """Logarithm of its excess over its noise, 0 to 5."""
        one = self.harm(name).excess.get(measure)
        if one is None or not one.anomalous:
            return 0.0
        return min(math.log(one.excess / max(one.noise, 1e-12)), 5.0)

    def unexplained(self, name: str, measure: Measure) -> float:
        """The share of its excess that no single callee carries, in [0, 1]."""
        own = self.size(name, measure)
        if not own:
            return 0.0
        return max(
            0.0,
            1 - max((self.size(callee, measure) for callee in self.below[name] if callee != name), default=0.0) / own,
        )

    def left(self, name: str, measure: Measure) -> float:
        """The share of its excess that its callees together do not carry, in [0, 1]."""
        own = self.size(name, measure)
        if not own:
            return 0.0
        together = sum(self.size(callee, measure) for callee in self.below[name] if callee != name)
        return max(0.0, 1 - together / own)

    def suspected(self, name: str) -> float:
        """Of a node whose measure is not known: what its callers leave unexplained, shared with others like it."""
        if self.measure in self.harm(name).excess:
            return 0.0
        return max(
            (self.unexplained(one, self.measure) / self.unknown[one] for one in self.callers.get(name, ())), default=0.0
        )

    def across(self, name: str) -> float:
        """Whether a callee is worse in the measure in which it is not itself explained: slow callees make timeouts."""
        for mine, theirs in ((self.measure, self.other), (self.other, self.measure)):
            if self.harm(name).anomalous(mine) and any(
                self.harm(callee).anomalous(theirs) for callee in self.below[name] if callee != name
            ):
                return 1.0
        return 0.0

    def carries(self, callee: str, caller: str) -> float:
        """The share of the caller's excess that the callee carries, in the measure where it is most, in [0, 1]."""
        shares = [
            self.size(callee, measure) / self.size(caller, measure) for measure in Measure if self.size(caller, measure)
        ]
        return min(max(shares, default=0.0), 1.0)

    def load(self, name: str) -> float:
        return max(-2.0, min(self.harm(name).load or 0.0, 2.0))

    def users(self) -> float:
        """How the requests rose at the nodes that nobody calls and that lead to the target."""
        found, frontier = {self.target}, [self.target]
        while frontier:
            frontier = [one for name in frontier for one in self.callers.get(name, ()) if one not in found]
            found.update(frontier)
        known = [self.load(name) for name in found if name not in self.callers and self.known(name)]
        return max(known, default=0.0)

    def known(self, name: str) -> bool:
        """Whether it had requests in normal times too."""
        load = self.harm(name).load
        return load is not None and not math.isinf(load)

    def more_than_callers(self, name: str) -> float:
        """How its requests rose beyond, or fell below, those of all its callers; users' where it has none."""
        known = [self.load(one) for one in self.callers.get(name, ()) if self.harm(one).load is not None]
        if not known or self.harm(name).load is None:
            return 0.0
        own = self.load(name)
        return own - max(known) if own > max(known) else min(own - min(known), 0.0)


_NOTHING = Harm()


def features(
    harms: Mapping[str, Harm], calls: Mapping[str, Sequence[str]], target: str, measure: Measure
) -> tuple[list[str], Row]:
    """Hypotheses, `OUTSIDE` last, and what is known of each, [hypotheses, len(FEATURES)]."""
    graph = _Graph(harms, calls, target, measure)
    first = max(graph.scores.values(), default=0.0)
    rows = [_of_node(graph, name, first) for name in graph.names]
    own = [graph.unexplained(name, measure) * graph.size(name, measure) for name in graph.reached]
    spread = 1 - max(own) / sum(own) if sum(own) else 0.0
    users = max(graph.users(), 0.0)
    rows.append([0.0] * (len(FEATURES) - 4) + [1.0, users, spread, users * spread])
    return [*graph.names, OUTSIDE], np.array(rows)


def _of_node(graph: _Graph, name: str, first: float) -> list[float]:
    measure, other, harm = graph.measure, graph.other, graph.harm(name)
    score = graph.scores.get(name, 0.0)
    mine, theirs = graph.unexplained(name, measure), graph.unexplained(name, other)
    jumps = [(callee, graph.more_than_callers(callee)) for callee in graph.calls.get(name, ())]
    more = max((jump * graph.carries(callee, name) for callee, jump in jumps), default=0.0)
    new = harm.load is not None and math.isinf(harm.load)
    return [
        score,
        float(score > 0 and score == first),
        float(harm.anomalous(measure)),
        graph.share(name, measure) if harm.anomalous(measure) else 0.0,
        mine,
        graph.left(name, measure),
        graph.surprise(name, measure),
        float(harm.anomalous(other)),
        theirs,
        graph.surprise(name, other),
        mine * theirs,
        float(name in graph.reached),
        graph.across(name),
        max(graph.more_than_callers(name), 0.0),
        max(-graph.more_than_callers(name), 0.0),
        max(more, 0.0),
        max((-jump for _, jump in jumps), default=0.0),
        float(new),
        graph.suspected(name),
        max((graph.suspected(callee) for callee in graph.calls.get(name, ())), default=0.0),
        0.0,
        0.0,
        0.0,
        0.0,
    ]
