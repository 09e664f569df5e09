"""What each node of a call graph does worse, in every measure, and how its requests changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.localisation.measures import DEFAULT, Bounds, Measure, NodeExcess, NodeSeries, excess_of, load_of


@dataclass(frozen=True)
class Harm:
    """What one node does worse, by measure, and how its requests changed (see `load_of`)."""

    excess: Mapping[Measure, NodeExcess] = field(default_factory=dict)
    load: float | None = None

    def anomalous(self, measure: Measure | None = None) -> bool:
        """Whether it does worse in that measure; without one, in any."""
        if measure is None:
            return any(one.anomalous for one in self.excess.values())
        return measure in self.excess and self.excess[measure].anomalous


def harms_of(
    normal: Mapping[str, NodeSeries], around: Mapping[str, NodeSeries], bounds: Bounds = DEFAULT
) -> dict[str, Harm]:
    """The harm of each node that is measured around the incident."""
    found: dict[str, Harm] = {}
    for name, now in around.items():
        before = normal.get(name, NodeSeries())
        by_measure = {one: excess for one in Measure if (excess := excess_of(before, now, one, bounds)) is not None}
        found[name] = Harm(by_measure, load_of(before, now, bounds))
    return found
