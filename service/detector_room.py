"""How full the detector is: as metrics, and as one line in the log when series have to be left out."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from models.detection.batch import Bounded, Detector
from models.domain.base import Clock
from service.telemetry import Metrics

_log = logging.getLogger(__name__)

_SAY_AGAIN_AFTER = timedelta(hours=1)


class DetectorRoom:
    """Watches a detector's cap; of a detector that tells nothing of one, or of none, there is nothing to watch."""

    def __init__(self, detector: Detector | None, clock: Clock) -> None:
        self._detector: Bounded | None = detector if isinstance(detector, Bounded) else None
        self._clock = clock
        self._refused = 0
        self._said_at: datetime | None = None

    def look(self) -> None:
        """After a batch: say in the log, at most once an hour, that samples were not scored."""
        if self._detector is None or self._detector.refused_total == self._refused:
            return
        refused, self._refused = self._detector.refused_total - self._refused, self._detector.refused_total
        now = self._clock()
        if self._said_at is None or now - self._said_at >= _SAY_AGAIN_AFTER:
            self._said_at = now
            _log.warning(
                "the detector is full: it holds %d series (detector.config.max_series), and %d samples of further ones"
                " were not scored just now; suture_detector_samples_refused_total counts on",
                self._detector.max_series,
                refused,
            )

    def register(self, metrics: Metrics) -> None:
        """Its metrics."""
        if (detector := self._detector) is None:
            return
        metrics.read("gauge", "suture_detector_series", "Series that the detector knows.", lambda: detector.series)
        metrics.read(
            "counter", "suture_detector_samples_refused", "Samples not scored since the start: too many series.",
            lambda: detector.refused_total,
        )  # fmt: skip
