"""The logs of all services: lines in, samples for the detector and signals of new errors out. No I/O; bounded.

Memory: at most `max_services` x `max_templates` templates of at most MAX_TOKENS words, a tree of at most CHILDREN first
words for each number of words and level, and KNOWN_LINES masked lines a service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from operator import attrgetter

import numpy as np

from models.detection.batch import Batch
from models.detection.logs.config import LogSettings
from models.detection.logs.lines import LogLine, Owner, Taken, Tick
from models.detection.logs.service import ServiceLog
from models.detection.logs.stream import Stream
from models.detection.meaning import CHANGES
from models.domain.base import Labels
from models.domain.signal import Signal

VERSION = 1
MAX_CHANGES = 2000
"""Series of changes that are kept: kinds of events times services."""


class LogBook:
    """Knows the templates of every service. One thread at a time."""

    def __init__(self, settings: LogSettings) -> None:
        self.settings = settings
        self.services: dict[Owner, ServiceLog] = {}
        self.total = Taken()
        """What became of all lines since the beginning."""
        self.changes_seen = 0
        """The caller's number of the last event that was counted."""
        self._changes: dict[tuple[str, Owner], int] = {}
        """Events so far, by kind and owner."""
        self._stream = Stream(settings.interval.total_seconds())
        self._series: tuple[Labels, ...] | None = None
        """Those of services; None where they may be others than in the last interval."""
        self._with_templates: tuple[Labels, ...] = ()
        self._sampled_at = -np.inf
        """When templates were sampled last."""

    def take(self, lines: Iterable[LogLine], now: float) -> tuple[Taken, list[Tick]]:
        """Take lines, in any order; returns what became of them, and the intervals that ended by that.

        A line ahead of `now` (unix seconds) counts as of now.
        """
        taken, ticks = Taken(), []
        self._stream.arrived = now
        for line in sorted(lines, key=attrgetter("at")):
            ticks += [self._end(at) for at in self._stream.reach(min(line.at, now))]
            log = self._log(line.owner, line.at)
            if log is None:
                taken.dropped += 1
            elif log.take(line, taken, late=self._stream.late(line.at)):
                self._series = None
        self.total.add(taken)
        return taken, ticks

    def changed(self, kind: str, owner: Owner, now: float) -> list[Tick]:
        """Count one event (a deployment and the like) of a service."""
        self._stream.arrived = now
        ticks = [self._end(at) for at in self._stream.reach(now)]
        key = (kind, owner)
        if key not in self._changes:
            if len(self._changes) >= MAX_CHANGES:
                return ticks
            self._series = None
        self._changes[key] = self._changes.get(key, 0) + 1
        return ticks

    def tick(self, now: float) -> list[Tick]:
        """The intervals that are over by the clock."""
        return [self._end(at) for at in self._stream.clock(now)]

    def describe(self, signal: Signal, redact: Callable[[str], str]) -> Signal:
        """The signal of one of our series, its text begun with what the lines say, `redact`ed."""
        log = self.services.get((signal.service or "", signal.environment or ""))
        if log is None or not (signal.metric or "").startswith("log_"):
            return signal
        named = log.templates.by_id.get(int(signal.labels.get("template", 0)))
        told = [named] if named else log.loudest()
        words = [redact(log.templates.words(one)) for one in told]
        return signal.model_copy(update={"text": "\n".join([*words, signal.text])})

    def _log(self, owner: Owner, at: float) -> ServiceLog | None:
        log = self.services.get(owner)
        if log is None and len(self.services) < self.settings.max_services:
            log = self.services[owner] = ServiceLog(owner, at, self.settings)
            self._series = None
        return log

    def _end(self, at: float) -> Tick:
        logs = self.services.values()
        values = [value for log in logs for value in log.end_interval()] + [*map(float, self._changes.values())]
        series = self._series
        if series is None:
            changes = [_change_series(kind, owner) for kind, owner in self._changes]
            series = self._series = (*(labels for log in logs for labels in log.series()), *changes)
            self._with_templates = (*series, *(labels for log in logs for labels in log.template_series()))
        if at - self._sampled_at >= self.settings.template_interval.total_seconds():
            self._sampled_at = at
            series = self._with_templates
            values += [value for log in logs for value in log.template_values()]
        batch = Batch(at=at, series=series, values=np.array(values, dtype=np.float64))
        return Tick(batch, tuple(signal for log in logs for signal in log.news(at)))

    def dump(self) -> bytes:
        """The whole state as JSON, such that `restore` of it continues exactly where this left off."""
        stream = self._stream
        state = {
            "version": VERSION,
            "until": stream.until,
            "newest": stream.newest if np.isfinite(stream.newest) else None,
            "sampled": self._sampled_at if np.isfinite(self._sampled_at) else None,
            "total": vars(self.total),
            "changes_seen": self.changes_seen,
            "changes": [[kind, *owner, count] for (kind, owner), count in self._changes.items()],
            "services": [log.dump() for log in self.services.values()],
        }
        return json.dumps(state, separators=(",", ":")).encode()

    def restore(self, state: bytes) -> None:
        """Continue from a dumped state. Raises ValueError where it is of another version or no state at all."""
        try:
            saved = json.loads(state)
            if saved["version"] != VERSION:
                raise ValueError(f"the state of the logs has version {saved['version']}, not {VERSION}")
            logs = [ServiceLog.restored(one, self.settings) for one in saved["services"]]
            total = Taken(**saved["total"])
            changes = {(kind, (service, place)): int(count) for kind, service, place, count in saved["changes"]}
            sampled = -np.inf if saved["sampled"] is None else float(saved["sampled"])
            seen = int(saved["changes_seen"])
            stream = Stream(self._stream.interval, saved["until"], saved["newest"] or -np.inf)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not a state of the logs: {error!r}") from error
        self.services = {log.owner: log for log in logs}
        self.total, self._changes, self._stream, self._series = total, changes, stream, None
        self.changes_seen, self._sampled_at = seen, sampled


def _change_series(kind: str, owner: Owner) -> Labels:
    service, environment = owner
    labels = {"__name__": CHANGES, "kind": kind, "service": service, "environment": environment}
    return {name: value for name, value in labels.items() if value}
