"""What silences hold back of the signals that come in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from models.correlation import Memory
from models.domain.signal import Signal
from service.store.silences import count, holding


@dataclass(frozen=True)
class Heard:
    """Signals that are not silenced."""

    signals: tuple[Signal, ...]
    memory: Memory
    """Without signals that waited for another and are silenced by now."""
    silenced: dict[str, str]
    """By fingerprint, the silence that held it back."""


def sift(
    connection: Connection, signals: Sequence[Signal], known: Collection[str], memory: Memory, now: datetime
) -> Heard:
    """Hold back and count what is silenced at `now`.

    Fingerprints that an active incident has (`known`) still reach it: it must hear when they are over. A signal that
    says "resolved" opens nothing, and is heard too.
    """
    held = holding(connection, now)
    if not held:
        return Heard(tuple(signals), memory, {})
    heard: list[Signal] = []
    silenced: dict[str, str] = {}
    counted: dict[str, list[Signal]] = defaultdict(list)
    for signal in signals:
        free = signal.fingerprint in known or signal.status == "resolved"
        silence = None if free else next((each for each in held if each.fits(signal)), None)
        if silence is None:
            heard.append(signal)
        else:
            silenced[signal.fingerprint] = silence.id
            counted[silence.id].append(signal)
    for silence in held:
        if silence.id in counted:
            count(connection, silence, counted[silence.id])
    waiting = tuple(signal for signal in memory.pending if not any(each.fits(signal) for each in held))
    return Heard(tuple(heard), memory.model_copy(update={"pending": waiting}), silenced)
