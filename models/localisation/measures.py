"""How much worse each node of a call graph does than in normal times: the evidence that localisation weighs.

The excess of a node is what it does worse than in normal times, summed over its requests: seconds of latency, failed
requests. Summed over requests, the excess of a callee can be compared with that of its caller. Standardised departures
cannot be compared so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]

LEAST_KNOWN = 2
"""Windows of normal times that a node needs, to say what is usual of it."""

LEAST_LOAD = 0.01
"""Share of the usual requests below which a node is called as good as never."""


class Measure(StrEnum):
    """What is worse."""

    LATENCY = "latency"
    """Seconds a request, the mean of a window."""
    FAILED = "failed"
    """Share of requests that fail, in [0, 1]."""


@dataclass(frozen=True)
class Bounds:
    """From where on something counts."""

    noise: float = 3.0
    """A node is anomalous when its excess is this many standard deviations of normal windows."""
    least_failed: float = 1.0
    """Failed requests in the incident below which nothing is anomalous: most nodes never fail in normal times."""
    explains: float = 0.5
    """Share of a caller's excess that a callee must carry to explain it."""


DEFAULT = Bounds()


@dataclass(frozen=True)
class NodeSeries:
    """What was measured of one node, a value a window, NaN where none was; None where it is not measured."""

    requests: Row | None = None
    """Requests a window."""
    latency: Row | None = None
    failed: Row | None = None

    def of(self, measure: Measure) -> Row | None:
        """The series of that measure."""
        return self.latency if measure is Measure.LATENCY else self.failed


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


def excess_of(normal: NodeSeries, around: NodeSeries, measure: Measure, bounds: Bounds = DEFAULT) -> NodeExcess | None:
    """A node's excess in the windows `around` the incident over its `normal` windows; None where it was not measured.

    Gaps are filled by the node's own mean: the excess of nodes that miss different windows stays comparable.
    """
    now, before = around.of(measure), normal.of(measure)
    weights = None if now is None else _weights(normal, around, now)
    if now is None or weights is None or not np.isfinite(now).any():
        return None
    usual = before[np.isfinite(before)] if before is not None else np.empty(0)
    known = len(usual) >= LEAST_KNOWN
    mean = float(usual.mean()) if known else 0.0
    spread = float(usual.std(ddof=1)) if known else 0.0
    seen, total = np.isfinite(now), float(weights.sum())
    measured = float(weights[seen].sum())
    each = float(((now[seen] - mean) * weights[seen]).sum()) / measured if measured else 0.0
    # Windows vary independently: their mean varies by the root of their number less.
    noise = bounds.noise * spread * total / int(seen.sum()) ** 0.5
    return NodeExcess(each * total, max(noise, bounds.least_failed if measure is Measure.FAILED else 0.0), known)


def load_of(normal: NodeSeries, around: NodeSeries, bounds: Bounds = DEFAULT) -> float | None:
    """Logarithm of a node's requests over the usual; 0 where within what varies anyway, None where not measured.

    Infinite for a node that was not called in normal times.
    """
    now = around.requests
    if now is None or not np.isfinite(now).any():
        return None
    usual = np.empty(0) if normal.requests is None else normal.requests[np.isfinite(normal.requests)]
    if len(usual) < LEAST_KNOWN or usual.mean() <= 0:
        return math.inf if np.nansum(now) > 0 else None
    mean, observed = float(usual.mean()), float(np.nanmean(now))
    # Neighbouring windows rise and fall together, so their mean varies as much as one does.
    if abs(observed - mean) <= bounds.noise * float(usual.std(ddof=1)):
        return 0.0
    return math.log(max(observed, LEAST_LOAD * mean) / mean)


def _weights(normal: NodeSeries, around: NodeSeries, now: Row) -> Row | None:
    """Requests of each window. Where neither they nor `now` were measured, there were none."""
    for one in (around.requests, normal.requests):
        if one is not None and np.isfinite(one).any():
            own = around.requests if around.requests is not None else np.full(len(now), np.nan)
            filled = np.where(np.isfinite(now), float(np.nanmean(one)), 0.0)
            return np.where(np.isfinite(own), own, filled)
    return None
