"""What correlation carries from one call to the next: signals that wait, and how each fingerprint behaved lately."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, NonNegativeFloat

from models.detection.meaning import Role
from models.domain.base import Frozen, Time
from models.domain.signal import Signal
from models.localisation.culprits import role_of_signal

CONTINUES = timedelta(minutes=1)
"""Signals of one fingerprint with no longer a gap than this are one continuing departure: four scrapes of 15 s."""

DOWN_TICKS = 5
"""Ticks of silence after which something that was down had been up again: what is down says so at every tick."""
TICKS = 20
"""Ticks of silence after which any other departure had ended: one that fades comes and goes, but not so rarely."""


class Trace(Frozen):
    """What is known of a fingerprint over time."""

    status: Literal["firing", "resolved"]
    since: Time
    """When it began to fire without a pause."""
    at: Time
    """Of the latest signal."""
    every: NonNegativeFloat | None = None
    """Seconds: the shortest time between two of its signals."""
    changes: tuple[Time, ...] = ()
    """When it last changed between firing and resolved."""

    @property
    def ticks(self) -> float:
        """For how many of its own ticks it has fired without a pause."""
        return (self.at - self.since).total_seconds() / self.every + 1 if self.every else 1.0

    def after(self, signal: Signal) -> Trace:
        """With one more signal; a late one changes nothing."""
        if signal.at < self.at:
            return self
        changed = signal.status != self.status
        gap = (signal.at - self.at).total_seconds()
        goes_on = gap <= self._pause(signal) and not changed
        return Trace(
            status=signal.status,
            since=self.since if goes_on else signal.at,
            at=signal.at,
            every=min(gap, self.every or gap) or self.every,
            changes=(*self.changes, signal.at) if changed else self.changes,
        )

    def _pause(self, signal: Signal) -> float:
        """The longest silence, in seconds, after which it is still the same departure."""
        longest = CONTINUES.total_seconds()
        if self.every is None or signal.anomaly is None:
            return longest
        ticks = DOWN_TICKS if role_of_signal(signal) is Role.AVAILABILITY else TICKS
        return min(longest, ticks * self.every)


class Memory(Frozen):
    """Returned by one call of `correlate`, passed to the next; JSON as any domain type. Bounded by its windows."""

    pending: tuple[Signal, ...] = ()
    """Signals that were not enough for an incident, and may be with more."""
    traces: dict[str, Trace] = Field(default_factory=dict)

    def traced(self, signals: Iterable[Signal], now: datetime, window: timedelta) -> dict[str, Trace]:
        """The traces after these signals (in time order), without what left the window."""
        traces = dict(self.traces)
        for signal in signals:
            fingerprint = signal.fingerprint
            held = traces.get(fingerprint)
            traces[fingerprint] = (
                held.after(signal) if held else Trace(status=signal.status, since=signal.at, at=signal.at)
            )
        return {
            fingerprint: _recent(held, now, window) for fingerprint, held in traces.items() if now - held.at <= window
        }


def _recent(trace: Trace, now: datetime, window: timedelta) -> Trace:
    changes = tuple(at for at in trace.changes if now - at <= window)
    return trace if changes == trace.changes else trace.model_copy(update={"changes": changes})
