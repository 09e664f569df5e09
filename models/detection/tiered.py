"""Both tiers behind one doorway: entry point `tiered` of `suture.detectors`.

The fast tier takes every series. The deep tier takes, as far as it has room, those whose metric is named to matter, and
those that the fast one found to depart once: it learns their past from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from pydantic import Field

from models.detection.batch import Batch
from models.detection.config import DetectorConfig, read_settings
from models.detection.deep.config import DeepConfig
from models.detection.deep.detector import DeepDetector
from models.detection.feedback import Explanation, Summary, Tolerances
from models.detection.lockstep import LockstepDetector
from models.detection.saved import pack, unpack
from models.domain.base import Frozen, Labels
from models.domain.signal import Anomaly


class TieredConfig(Frozen):
    """Section `detector.config` of the settings where `detector.name` is `tiered`."""

    fast: DetectorConfig = Field(default_factory=DetectorConfig)
    deep: DeepConfig = Field(default_factory=DeepConfig)
    matter: tuple[str, ...] = ()
    """Metrics whose series are always looked at by the deep tier: names, with `*` for any characters."""


def build(config: Mapping[str, Any], context: object = None) -> TieredDetector:  # noqa: ARG001  (the entry points' shape)
    """A detector with the settings of section `detector.config`. Raises BadInput where they are wrong."""
    return TieredDetector(read_settings(TieredConfig, config))


class TieredDetector:
    """Implements `models.detection.batch.Detector` and `feedback.Tunable`. One process, one thread at a time."""

    def __init__(self, config: TieredConfig) -> None:
        self.config = config
        self.fast = LockstepDetector(config.fast)
        self.deep = DeepDetector(config.deep)
        self._known: tuple[Labels, ...] = ()
        """The series of the last batch, and which of them the deep tier looks at."""
        self._watched: list[int] = []
        self._part: tuple[Labels, ...] = ()

    def observe(self, batch: Batch) -> list[Anomaly]:
        """Take one tick into the state; of a series that both tiers report, the surer one."""
        found = {_key(one.labels): one for one in self.fast.observe(batch)}
        suspicious = [one.labels for one in found.values() if not self.deep.knows(one.labels)]
        if suspicious or (batch.series is not self._known and batch.series != self._known):
            self._choose(batch.series, suspicious)
        values = np.asarray(batch.values, dtype=np.float64)[self._watched]
        for one in self.deep.observe(Batch(batch.at, self._part, values)):
            held = found.get(_key(one.labels))
            if held is None or one.p_value < held.p_value:
                found[_key(one.labels)] = one
        return list(found.values())

    def _choose(self, series: tuple[Labels, ...], suspicious: Iterable[Labels]) -> None:
        asked = {_key(labels) for labels in suspicious}
        # Beyond its room the deep tier would refuse them at every tick.
        room = max(self.deep.max_series - self.deep.series, 0)
        self._known, self._watched = series, []
        for place, labels in enumerate(series):
            fresh = not self.deep.knows(labels)
            if fresh and (room == 0 or not (_key(labels) in asked or self._matters(labels))):
                continue
            room -= fresh
            self._watched.append(place)
        self._part = tuple(series[place] for place in self._watched)

    def _matters(self, labels: Labels) -> bool:
        return any(fnmatchcase(labels.get("__name__", ""), pattern) for pattern in self.config.matter)

    @property
    def max_series(self) -> int:
        """Series for which the fast tier has room."""
        return self.fast.max_series

    @property
    def series(self) -> int:
        """Series that the fast tier knows now."""
        return self.fast.series

    @property
    def refused_total(self) -> int:
        """Samples for which the fast tier had no room, since the start of the process."""
        return self.fast.refused_total

    def tune(self, tolerances: Tolerances) -> None:
        """Use what feedback says of each class of series, in the fast tier."""
        self.fast.tune(tolerances)

    def summary(self) -> Summary:
        """All series of the fast tier together."""
        return self.fast.summary()

    def known(self) -> list[Labels]:
        """The labels of all series that the fast tier holds."""
        return self.fast.known()

    def explain(self, slots: Iterable[int]) -> list[Explanation]:
        """What the fast tier knows of series, by their places in `known`."""
        return self.fast.explain(slots)

    def dump(self) -> bytes:
        """The states of both."""
        parts = {"fast": self.fast.dump(), "deep": self.deep.dump()}
        return pack({"tier": "both"}, {name: np.frombuffer(part, dtype=np.uint8) for name, part in parts.items()})

    def restore(self, state: bytes) -> None:
        """Continue from a dumped state; that of one tier alone continues that one.

        Raises ValueError where it is of another version or no state at all.
        """
        meta, arrays = unpack(state)
        if meta.get("tier") == "both":
            self.fast.restore(arrays["fast"].tobytes())
            self.deep.restore(arrays["deep"].tobytes())
        elif meta.get("tier") == "deep":
            self.deep.restore(state)
        else:
            self.fast.restore(state)
        self._known = ()


def _key(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
